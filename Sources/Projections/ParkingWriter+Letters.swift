internal import Kafka
internal import Letters
internal import Postgres
internal import StreamCore

// The letters of a slice: whether they are needed, and how they are written.

extension ParkingWriter {
    /// - Throws: ``LettersMissing`` if the plan needs a letter.
    func requireNoLetters(
        _ plan: SlicePlan, _ batch: PreparedBatch<Event>, _ items: ItemSelection
    ) throws {
        let cuts = letterCuts(plan, batch, items)
        if !cuts.isEmpty { throw LettersMissing(cuts: cuts, error: nil, undelivered: nil) }
    }

    /// The error for a slice whose letters were not accepted. It names the partitions that cannot continue without
    /// letters, and a letter to retry.
    func missing(
        _ error: LetterError, letters: [Letter], _ plan: SlicePlan?, _ batch: PreparedBatch<Event>,
        _ items: ItemSelection
    ) -> any Error {
        guard let plan else { return error }
        let cuts = letterCuts(plan, batch, items)
        guard !cuts.isEmpty else { return error }
        let undelivered = letters.first.flatMap { letter in
            letterProducer.map { UndeliveredLetter(letter: letter, producer: $0) }
        }
        return LettersMissing(cuts: cuts, error: error, undelivered: undelivered)
    }

    private func letterCuts(
        _ plan: SlicePlan, _ batch: PreparedBatch<Event>, _ items: ItemSelection
    ) -> [Int: Int] {
        var cuts: [Int: Int] = [:]
        for (index, item) in zip(items.indices, items) where plan.parking.needsLetter(index) {
            let part = Int(batch.layout.partOfItem[item])
            if cuts[part] == nil { cuts[part] = item }
        }
        return cuts
    }

    /// Delivers letters. Parts of a record that the broker does not accept are stored in the database instead, and the
    /// letter says so.
    ///
    /// - Throws: ``LetterError``, `PostgresError`.
    func deliver(
        _ letters: [Letter], _ tables: ParkingTables, in transaction: PostgresTransaction
    ) async throws {
        let producer = try await producer()
        var open = letters
        while true {
            let refused = Set(try await producer.deliver(open))
            for (index, letter) in open.enumerated() where !refused.contains(index) && letter.isKeptNow {
                guard let origin = letter.origin, let record = letter.record else { continue }
                let (statement, parameters) = tables.parked.keep(letter.kept, of: record, at: origin)
                try await transaction.execute(statement, parameters)
            }
            if refused.isEmpty { return }
            open = try refused.sorted().map { index in
                guard let shorter = open[index].shorter else {
                    throw LetterError.unacceptable(topic: route.letterTopic)
                }
                return shorter
            }
        }
    }

    private func producer() async throws -> LetterProducer {
        if let letterProducer, !letterProducer.isUseless { return letterProducer }
        await letterProducer?.close()
        letterProducer = nil
        do throws(KafkaError) {
            let producer = try LetterProducer(parking.kafka, parking.sender)
            letterProducer = producer
            return producer
        } catch {
            throw LetterError.refused(error, topic: route.letterTopic)
        }
    }
}

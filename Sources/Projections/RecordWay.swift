internal import Kafka
internal import Postgres
internal import StreamCore

// A record's way: consumer → batch → decode → duplicates → apply → commit. What can go wrong on it is decided elsewhere,
// by RunnerState; what runs when, by RunnerLoop.

extension Intake {
    /// Consumer → batch → decode.
    ///
    /// - Parameter positions: the partitions whose records are taken, and from which offset on.
    func poll(from positions: [TopicPartition: Int64], _ round: inout Round) async throws(KafkaError) {
        switch try await consumer.poll(limits) {
        case .batch(let records):
            let batch = PreparedBatch(records, for: projection, from: positions)
            guard !batch.layout.parts.isEmpty else { return }
            round.report.polled = .batch(batch.layout)
            round.batch = batch
            if records.count >= limits.maxRecords || records.byteCount >= limits.maxBytes {
                await keepFetching(records[records.count - 1].topicPartition)
            }
        case .assigned(let partitions): round.report.polled = .assigned(partitions)
        case .revoked(let partitions): round.report.polled = .revoked(partitions)
        case .lost(let partitions): round.report.polled = .lost(partitions)
        case .error(let error):
            if error.isOffsetOutOfRange, let partition = error.topicPartition {
                round.report.polled = .outOfRange([partition])
            } else {
                round.report.failure = error
            }
        case .idle: break
        }
    }
}

extension BatchWriter {
    /// Duplicates → apply → commit, in one transaction with the offsets: hence *exactly once*.
    ///
    /// The offsets come first: their rows are then locked, and a second owner stops here before it has done any work.
    ///
    /// - Returns: the indexes of the events that were not seen before.
    func commit(
        _ batch: PreparedBatch<P.Event>, _ items: ItemSelection, _ moves: [OffsetMove], _ session: Session
    ) async throws -> ItemSelection {
        try await session.connection.withTransaction { transaction in
            var statements = [session.offsets.move(moves)]
            if !items.isEmpty { statements.append((session.insertProcessed, batch.processed(items, session.offsets))) }
            let results = try await transaction.pipeline(statements)
            guard results[0].affectedRows == moves.count else { throw Fenced() }
            if items.isEmpty { return items }
            let fresh = try batch.unseen(items, inserted: results[1])
            if !fresh.isEmpty { try await projection.apply(batch.events(fresh), in: transaction) }
            return fresh
        }
    }
}

internal import Kafka
internal import Letters
internal import Postgres
internal import StreamCore

// What circuit breakers count in a slice, and the trials of partitions whose circuit breakers are open.

extension BatchWriter {
    private var limit: Int { parking?.route.breakerAfter ?? 0 }

    /// Notes that these were applied for the first time.
    func count(_ items: some Sequence<Int>, of batch: PreparedBatch<P.Event>, in tally: inout FailureTally) {
        if tally.counts.isEmpty { return }
        for item in items where batch.retries[item] == nil {
            tally.applied(batch.eventType(item), in: batch.partition(item))
        }
    }

    /// Where parts of the slice must end, as their circuit breakers open there.
    func breakerCuts(
        _ plan: SlicePlan, _ batch: PreparedBatch<P.Event>, _ items: ItemSelection
    ) -> [Int: Int] {
        guard limit > 0 else { return [:] }
        var tally = FailureTally(failureCounts, limit: limit)
        return tally.cuts(subjects(plan, batch, items) { plan.parking.isApplied($0) })
    }

    /// What the slice comes to, once it is known what was applied.
    func tally(
        _ plan: SlicePlan?, _ batch: PreparedBatch<P.Event>, _ items: ItemSelection, _ fresh: ItemSelection
    ) -> FailureTally {
        var tally = FailureTally(failureCounts, limit: limit)
        guard let plan else {
            count(fresh, of: batch, in: &tally)
            return tally
        }
        let applied = Set(fresh)
        for subject in subjects(plan, batch, items, isApplied: { applied.contains(items[$0]) }) {
            tally.count(subject)
        }
        return tally
    }

    private func subjects(
        _ plan: SlicePlan, _ batch: PreparedBatch<P.Event>, _ items: ItemSelection, isApplied: (Int) -> Bool
    ) -> [FailureTally.Subject] {
        items.indices.map { index in
            let item = items[index]
            return FailureTally.Subject(
                item: item, part: Int(batch.layout.partOfItem[item]), partition: batch.partition(item),
                verdict: plan.parking.verdicts[index], isApplied: isApplied(index),
                errorClass: plan.failures[item]?.failure.errorClass ?? "", eventType: batch.eventType(item))
        }
    }

    /// Reads what the database has counted now.
    ///
    /// - Returns: the letters about circuit breakers that opened.
    func counted(
        _ tally: FailureTally, _ result: QueryResult, _ committed: inout Committed
    ) throws -> [Letter] {
        var tally = tally
        for (partition, kind, count) in try CircuitBreakerTable.counts(in: result) {
            tally.stored(count, kind, in: partition)
        }
        var letters: [Letter] = []
        for (partition, changes) in tally.changes.sorted(by: { $0.key < $1.key }) {
            let counts = tally.counts[partition] ?? FailureCounts()
            let hasCounted = changes.values.contains { $0.added > 0 }
            committed.counts[partition] = counts
            committed.news[partition] = BreakerNews(open: counts.open, hasCounted: hasCounted)
            let wasOpen = failureCounts[partition]?.open.isEmpty == false
            if !wasOpen, let kind = counts.open.last, let count = counts[kind] {
                letters.append(.breakerOpened(partition, kind, after: count.failures))
            }
        }
        return letters
    }

    // MARK: letters

    /// - Throws: ``LettersMissing`` when the plan needs a letter.
    func requireNoLetters(
        _ plan: SlicePlan, _ batch: PreparedBatch<P.Event>, _ items: ItemSelection
    ) throws {
        let cuts = letterCuts(plan, batch, items)
        if !cuts.isEmpty { throw LettersMissing(cuts: cuts, error: nil, undelivered: nil) }
    }

    /// The error that says which partitions cannot go on without letters, and which letter to try.
    func missing(
        _ error: LetterError, letters: [Letter], _ plan: SlicePlan?, _ batch: PreparedBatch<P.Event>,
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
        _ plan: SlicePlan, _ batch: PreparedBatch<P.Event>, _ items: ItemSelection
    ) -> [Int: Int] {
        var cuts: [Int: Int] = [:]
        for (index, item) in zip(items.indices, items) where plan.parking.needsLetter(index) {
            let part = Int(batch.layout.partOfItem[item])
            if cuts[part] == nil { cuts[part] = item }
        }
        return cuts
    }

    // MARK: beside the transaction

    /// Learns which keys are blocked, and what is counted of these partitions.
    ///
    /// - Returns: what circuit breakers are open for.
    func loadParked(
        _ partitions: [TopicPartition], _ session: Session
    ) async throws -> [TopicPartition: [FailureCounts.Kind]] {
        guard parking != nil else { return [:] }
        let results = try await session.connection.pipeline([
            session.parked.blockedKeys(), session.breakers.select(partitions),
        ])
        blockedKeys = try ParkedEvents.blockedKeys(in: results[0])
        for partition in partitions { failureCounts[partition] = nil }
        guard limit > 0 else { return [:] }
        for (partition, kind, count) in try CircuitBreakerTable.counts(in: results[1]) {
            failureCounts[partition, default: FailureCounts()][kind] = count
        }
        var open: [TopicPartition: [FailureCounts.Kind]] = [:]
        for partition in partitions {
            if let kinds = failureCounts[partition]?.open, !kinds.isEmpty { open[partition] = kinds }
        }
        return open
    }

    /// Tries one event and takes it back: whether others that fail are to blame.
    func probe(_ batch: PreparedBatch<P.Event>, _ order: ProbeOrder) async -> RunnerState.Input {
        do {
            try await tryAlone(order.item, of: batch, try await openSession())
            return .probed(nil)
        } catch {
            return failedAlone(error, in: batch).map { .probed($0) } ?? .databaseFailed(DatabaseFailure(trying: error))
        }
    }

    /// Tries an event of a partition whose circuit breaker is open, and takes it back. When it can be applied, the
    /// counts that it speaks for end.
    ///
    /// One that is blocked will do, too: when it can be applied, it is not everything of its type that fails.
    func tryBreaker(_ batch: PreparedBatch<P.Event>, _ order: TrialOrder) async -> RunnerState.Input {
        guard let parking else { return .tried(.nothingToTry) }
        let isAny = order.kinds.contains(.run)
        let types = Set(order.kinds.map(\.eventType))
        let candidates = order.candidates.filter { isAny || types.contains(batch.eventType($0)) }
        guard !candidates.isEmpty else { return .tried(.nothingToTry) }
        let item = candidates[CircuitBreaker.place(of: order.number, among: candidates.count)]
        do {
            let session = try await openSession()
            try await tryAlone(item, of: batch, session)
            let type = batch.eventType(item)
            var tally = FailureTally(failureCounts, limit: limit)
            tally.applied(type, in: order.partition)
            let open = tally.counts[order.partition]?.open ?? []
            try await session.connection.withTransaction { transaction in
                _ = try await transaction.pipeline(session.breakers.count(tally))
                if open.isEmpty {
                    try await deliver([.breakerClosed(order.partition, type)], parking, session, in: transaction)
                }
            }
            failureCounts[order.partition] = tally.counts[order.partition]
            return .tried(.passed(open: open))
        } catch let error as LetterError {
            return .tried(.lettersFailed(error))
        } catch {
            let failure = failedAlone(error, in: batch)
            return failure.map { .tried(.failed($0)) } ?? .databaseFailed(DatabaseFailure(trying: error))
        }
    }

    private func tryAlone(_ item: Int, of batch: PreparedBatch<P.Event>, _ session: Session) async throws {
        do {
            try await session.connection.withTransaction { transaction in
                try await projection.apply(batch.events(.list([item])), in: transaction)
                try await transaction.execute(.unprepared("SET CONSTRAINTS ALL IMMEDIATE"))
                throw TakenBack()
            }
        } catch is TakenBack {
        } catch {
            throw ApplyFault(items: .list([item]), cause: error)
        }
    }

    /// The event's own failure; nil when the error says nothing of the event.
    private func failedAlone(_ error: any Error, in batch: PreparedBatch<P.Event>) -> EventFailure? {
        guard let error = error as? ApplyFault, case .event(let failure)? = WriteFault(error, in: batch)?.cause
        else { return nil }
        return failure.failure
    }
}

extension DatabaseFailure {
    fileprivate init(trying error: any Error) {
        self.init(of: (error as? ApplyFault)?.cause ?? error)
    }
}

extension Letter {
    static func breakerOpened(
        _ partition: TopicPartition, _ kind: FailureCounts.Kind, after count: Int
    ) -> Letter {
        var letter = Letter(reason: .breakerOpened)
        letter.errorClass = kind.errorClass.isEmpty ? nil : kind.errorClass
        letter.message = "\(partition): \(count) \(kind) with none applied in between; nothing more is parked"
        return letter
    }

    static func breakerClosed(_ partition: TopicPartition, _ eventType: String) -> Letter {
        var letter = Letter(reason: .breakerClosed)
        letter.message = "\(partition): an event \(eventType) could be applied again"
        return letter
    }
}

extension FailureCounts.Kind: CustomStringConvertible {
    var description: String {
        self == .run ? "events failed one after the other" : "events \(eventType) failed with \(errorClass)"
    }
}

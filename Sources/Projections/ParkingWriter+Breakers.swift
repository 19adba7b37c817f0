internal import Kafka
internal import Letters
internal import Postgres
internal import StreamCore

// The failure counts of circuit breakers in a slice.

extension ParkingWriter {
    /// A tally that starts with the current counts.
    var tally: FailureTally { FailureTally(failureCounts, limit: route.breakerAfter) }

    /// Counts events that were applied for the first time.
    func count(_ items: some Sequence<Int>, of batch: PreparedBatch<Event>, in tally: inout FailureTally) {
        if tally.counts.isEmpty { return }
        for item in items where batch.retries[item] == nil {
            tally.applied(batch.eventType(item), in: batch.partition(item))
        }
    }

    /// For each part whose circuit breaker opens in the slice, the item before which it must end.
    func breakerCuts(
        _ plan: SlicePlan, _ batch: PreparedBatch<Event>, _ items: ItemSelection
    ) -> [Int: Int] {
        guard route.breakerAfter > 0 else { return [:] }
        var tally = tally
        return tally.cuts(subjects(plan, batch, items) { plan.parking.isApplied($0) })
    }

    /// The tally of the slice, after it is known which events were applied.
    func tally(
        _ plan: SlicePlan?, _ batch: PreparedBatch<Event>, _ items: ItemSelection, _ fresh: ItemSelection
    ) -> FailureTally {
        var tally = tally
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

    /// The items that may change a tally. Applied events end counts. They change nothing before the first failure of
    /// their partition, nor after an applied event of their type with no parked event in between.
    private func subjects(
        _ plan: SlicePlan, _ batch: PreparedBatch<Event>, _ items: ItemSelection, isApplied: (Int) -> Bool
    ) -> [FailureTally.Subject] {
        // For each part, the types that were applied since an event was parked; nil before the first failure.
        var applied: [Set<String>?] = batch.layout.parts.map { failureCounts[$0.partition].map { _ in [] } }
        return items.indices.compactMap { index in
            let item = items[index]
            let part = Int(batch.layout.partOfItem[item])
            if plan.parking.verdicts[index] == .apply {
                guard isApplied(index), applied[part]?.insert(batch.identity(item)?.eventType ?? "").inserted == true
                else { return nil }
            } else {
                applied[part] = []
            }
            return FailureTally.Subject(
                item: item, part: part, partition: batch.partition(item),
                verdict: plan.parking.verdicts[index], isApplied: isApplied(index),
                errorClass: plan.failures[item]?.failure.errorClass ?? "", eventType: batch.eventType(item))
        }
    }

    /// Reads the counts that the database has now.
    ///
    /// - Returns: the letters about circuit breakers that opened.
    func counted(
        _ tally: FailureTally, _ result: QueryResult, _ parked: inout ParkingResult
    ) throws -> [Letter] {
        var tally = tally
        for (partition, kind, count) in try CircuitBreakerTable.counts(in: result) {
            tally.stored(count, kind, in: partition)
        }
        var letters: [Letter] = []
        for (partition, changes) in tally.changes.sorted(by: { $0.key < $1.key }) {
            let counts = tally.counts[partition] ?? FailureCounts()
            let hasCounted = changes.values.contains { $0.added > 0 }
            parked.failureCounts[partition] = counts
            parked.news[partition] = BreakerNews(open: counts.open, hasCounted: hasCounted)
            let wasOpen = failureCounts[partition]?.open.isEmpty == false
            if !wasOpen, let kind = counts.open.last, let count = counts[kind] {
                letters.append(.breakerOpened(partition, kind, after: count.failures))
            }
        }
        return letters
    }

    /// Ends the counts that the type resets, because an event of a partition whose circuit breaker is open could be
    /// applied.
    ///
    /// - Returns: the kinds of failures for which the circuit breaker is still open.
    func passed(
        _ eventType: String, in partition: TopicPartition, _ tables: ParkingTables, on connection: PostgresConnection
    ) async throws -> [FailureCounts.Kind] {
        var tally = tally
        tally.applied(eventType, in: partition)
        let open = tally.counts[partition]?.open ?? []
        try await connection.withTransaction { transaction in
            _ = try await transaction.pipeline(tables.breakers.count(tally))
            if open.isEmpty { try await deliver([.breakerClosed(partition, eventType)], tables, in: transaction) }
        }
        failureCounts[partition] = tally.counts[partition]
        return open
    }
}

extension Letter {
    static func breakerOpened(
        _ partition: TopicPartition, _ kind: FailureCounts.Kind, after count: Int
    ) -> Letter {
        var letter = Letter(reason: .breakerOpened)
        letter.errorClass = kind.errorClass.isEmpty ? nil : kind.errorClass
        letter.message = "\(partition): \(count) \(kind) with none applied in between; no more events are parked"
        return letter
    }

    static func breakerClosed(_ partition: TopicPartition, _ eventType: String) -> Letter {
        var letter = Letter(reason: .breakerClosed)
        letter.message = "\(partition): an event of type \(eventType) could be applied again"
        return letter
    }
}

extension FailureCounts.Kind: CustomStringConvertible {
    var description: String {
        self == .run ? "events failed in a row" : "events of type \(eventType) failed with \(errorClass)"
    }
}

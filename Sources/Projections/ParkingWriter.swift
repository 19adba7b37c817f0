internal import Kafka
internal import Letters
internal import Postgres
internal import StreamCore

/// The configuration of parking.
struct Parking: Sendable {
    let sender: LetterSender
    let kafka: KafkaClientConfiguration

    var route: DeadLetterRoute { sender.route }
}

/// The tables that parking uses.
struct ParkingTables {
    let offsets: OffsetTable
    let parked: ParkedEvents
    let breakers: CircuitBreakerTable

    /// - Parameter offsets: the projection's offsets, which contain its id.
    init(_ offsets: OffsetTable) {
        self.offsets = offsets
        parked = ParkedEvents(projectionID: offsets.projectionID)
        breakers = CircuitBreakerTable(projectionID: offsets.projectionID)
    }
}

/// The stored state of the keys and origins of a slice.
struct Parked {
    var rows: [SequenceKey: [RecordOrigin]] = [:]
    /// The parked states of the origins that are retried or discarded.
    var states: [RecordOrigin: ParkingPlan.Row] = [:]
    /// The next offsets of the original partitions of retries.
    var passed: [TopicPartition: Int64] = [:]
}

/// The plan for the items of a slice, and the items that it applies.
struct SlicePlan {
    let parking: ParkingPlan
    let failures: [Int: ItemFailure]
    let applied: ItemSelection
}

/// What a committed transaction did besides applying events.
struct ParkingResult: Sendable {
    var counts = ParkingCounts()
    /// The keys of the events that were parked.
    var blocked: [SequenceKey] = []
    /// The failure counts of each partition for which something was counted.
    var failureCounts: [TopicPartition: FailureCounts] = [:]
    var news: [TopicPartition: BreakerNews] = [:]
}

/// Parks what a projection cannot apply. It plans each item of a slice (``ParkingPlan``), and writes the rows, the
/// failure counts and the letters. It belongs to one ``BatchWriter``, which alone uses it.
final class ParkingWriter<Event: Sendable> {
    let parking: Parking
    /// The keys that must be looked up before their events are applied.
    private(set) var blockedKeys = BlockedKeys()
    /// The last known failure counts, of the partitions that have any.
    var failureCounts: [TopicPartition: FailureCounts] = [:]
    /// Created for the first letter.
    var letterProducer: LetterProducer?

    var route: DeadLetterRoute { parking.route }

    init(_ parking: Parking) {
        self.parking = parking
    }

    // MARK: looking up

    /// The statements that read the state of a slice's keys and origins.
    struct Lookup {
        let keys: [(key: SequenceKey, limit: Int32)]
        let hasRetries: Bool
        let statements: [(Statement, Parameters)]

        /// - Parameter results: the results of the claim, followed by those of ``statements``.
        func read(_ results: [QueryResult]) throws -> Parked {
            var parked = Parked()
            parked.rows = try ParkedEvents.rows(in: results[1], of: keys)
            guard hasRetries else { return parked }
            parked.passed = try OffsetTable.offsets(in: results[2])
            parked.states = try ParkedEvents.states(in: results[3])
            return parked
        }
    }

    /// The lookup for a slice. It includes keys that may be blocked, and the keys of retries, because another process
    /// may have parked more of them.
    ///
    /// - Returns: nil if none of the slice's keys can be parked, which is the usual case.
    func lookup(_ batch: PreparedBatch<Event>, _ items: ItemSelection, _ tables: ParkingTables) -> Lookup? {
        guard !items.isEmpty else { return nil }
        let retried = batch.retries.isEmpty ? [] : items.filter { batch.retries[$0] != nil }
        guard !blockedKeys.isEmpty || !retried.isEmpty else { return nil }
        var limits: [SequenceKey: Int32] = [:]
        if route.order == .key {
            for item in retried {
                if let key = batch.sequence(item) { limits[key, default: 1] += 1 }
            }
            let hashes = PreparedBatch<Event>.KeyHashes(batch)
            for item in blockedKeys.isEmpty ? .range(0..<0) : items {
                guard let (hash, length) = hashes[item], blockedKeys.mayContain(hash, length: length),
                    let key = batch.sequence(item), limits[key] == nil
                else { continue }
                limits[key] = 1
            }
        }
        guard !limits.isEmpty || !retried.isEmpty else { return nil }
        let keys = limits.map { (key: $0.key, limit: $0.value) }
        var statements = [tables.parked.first(of: keys)]
        if !retried.isEmpty {
            let partitions = Set(retried.map { batch.origin($0).partition })
            statements.append(tables.offsets.peek(Array(partitions)))
            statements.append(tables.parked.states(of: retried.map { batch.origin($0) }))
        }
        return Lookup(keys: keys, hasRetries: !retried.isEmpty, statements: statements)
    }

    /// - Returns: nil if all items are simply applied.
    /// - Throws: ``SliceTooLong`` if a circuit breaker must open before the end of the slice.
    func plan(
        _ batch: PreparedBatch<Event>, _ items: ItemSelection, _ slice: BatchSlice, _ found: Parked
    ) throws -> SlicePlan? {
        if slice.failures.isEmpty && found.rows.isEmpty && batch.retries.isEmpty { return nil }
        let subjects = batch.subjects(
            items, failures: slice.failures, order: route.order, parked: found.rows.keys, passed: found.passed)
        let plan = ParkingPlan(subjects, parked: found.rows, rows: found.states)
        let applied = items.indices.filter { plan.isApplied($0) && subjects[$0].eventID != nil }.map { items[$0] }
        let slicePlan = SlicePlan(parking: plan, failures: slice.failures, applied: .list(applied))
        let cuts = breakerCuts(slicePlan, batch, items)
        if !cuts.isEmpty { throw SliceTooLong(cuts: cuts) }
        return slicePlan
    }

    // MARK: in the transaction

    /// Whether there is anything to write for a slice.
    func hasWork(_ plan: SlicePlan?) -> Bool { plan != nil || !failureCounts.isEmpty }

    /// Writes the changes of parked rows and then the letters, as the last step before COMMIT. If the transaction is
    /// rolled back after all, the letters are written again later. They are never missing.
    ///
    /// - Parameter fresh: the items that were applied for the first time.
    /// - Throws: ``ParkingRefused``; ``LettersMissing`` if the plan needs letters that Kafka does not accept.
    func write(
        _ plan: SlicePlan?, _ batch: PreparedBatch<Event>, _ items: ItemSelection, fresh: ItemSelection,
        _ tables: ParkingTables, in transaction: PostgresTransaction
    ) async throws -> ParkingResult {
        let outcome = SliceOutcome(
            of: plan, batch, items, tally(plan, batch, items, fresh), order: route.order)
        do {
            return try await write(outcome, tables, in: transaction)
        } catch let error as LetterError {
            throw missing(error, letters: outcome.letters, plan, batch, items)
        } catch let error as PostgresError where error.kind == .permanent {
            throw ParkingRefused(cause: error)
        }
    }

    private func write(
        _ outcome: SliceOutcome, _ tables: ParkingTables, in transaction: PostgresTransaction
    ) async throws -> ParkingResult {
        var result = ParkingResult(counts: outcome.counts, blocked: outcome.rows.compactMap(\.sequence))
        var letters = outcome.letters
        var statements: [(Statement, Parameters)] = []
        if !outcome.rows.isEmpty { statements.append(tables.parked.insert(outcome.rows)) }
        if !outcome.resolved.isEmpty { statements.append(tables.parked.delete(outcome.resolved)) }
        if !outcome.handled.isEmpty { statements.append(tables.parked.note(outcome.handled)) }
        if !outcome.discarded.isEmpty { statements.append(tables.parked.discard(outcome.discarded)) }
        let isCounted = !outcome.tally.isUnchanged
        if isCounted { statements += tables.breakers.count(outcome.tally) }
        let results = try await transaction.pipeline(statements)
        if isCounted {
            let opened = try counted(outcome.tally, results[results.count - 1], &result)
            letters += opened
            if !opened.isEmpty { result.counts.letters[.breakerOpened] = opened.count }
        }
        if !letters.isEmpty { try await deliver(letters, tables, in: transaction) }
        return result
    }

    /// Takes over the result of a committed transaction.
    func committed(_ result: ParkingResult) {
        for (partition, counts) in result.failureCounts {
            failureCounts[partition] = counts.isEmpty ? nil : counts
        }
        blockedKeys.insert(result.blocked)
    }

    // MARK: beside the transaction

    /// Loads the blocked keys, and the failure counts of these partitions.
    ///
    /// - Returns: the kinds of failures for which circuit breakers are open.
    func load(
        _ partitions: [TopicPartition], _ tables: ParkingTables, on connection: PostgresConnection
    ) async throws -> [TopicPartition: [FailureCounts.Kind]] {
        let results = try await connection.pipeline([
            tables.parked.blockedKeys(), tables.breakers.select(partitions),
        ])
        blockedKeys = try ParkedEvents.blockedKeys(in: results[0])
        for partition in partitions { failureCounts[partition] = nil }
        guard route.breakerAfter > 0 else { return [:] }
        for (partition, kind, count) in try CircuitBreakerTable.counts(in: results[1]) {
            failureCounts[partition, default: FailureCounts()][kind] = count
        }
        var open: [TopicPartition: [FailureCounts.Kind]] = [:]
        for partition in partitions {
            if let kinds = failureCounts[partition]?.open, !kinds.isEmpty { open[partition] = kinds }
        }
        return open
    }

    /// Counts the parked rows and the blocked keys.
    func count(
        _ tables: ParkingTables, on connection: PostgresConnection
    ) async throws -> (rows: Int64, keys: Int64) {
        let (statement, parameters) = tables.parked.counts()
        let result = try await connection.execute(statement, parameters)
        let (rows, keys) = (try result.int64(0, 0), try result.int64(0, 1))
        if blockedKeys.isOutdated(blocked: keys) {
            let (statement, parameters) = tables.parked.blockedKeys()
            blockedKeys = try ParkedEvents.blockedKeys(in: try await connection.execute(statement, parameters))
        }
        return (rows, keys)
    }

    func close() async {
        await letterProducer?.close()
        letterProducer = nil
    }
}

internal import Kafka
internal import Letters
internal import Postgres
internal import StreamCore

/// Where a projection parks, and how.
struct Parking: Sendable {
    let sender: LetterSender
    let kafka: KafkaClientConfiguration

    var route: DeadLetterRoute { sender.route }
}

/// The tables that parking reads and writes.
struct ParkingTables {
    let offsets: OffsetTable
    let parked: ParkedEvents
    let breakers: CircuitBreakerTable

    /// - Parameter offsets: the projection's, which says whose rows are meant.
    init(_ offsets: OffsetTable) {
        self.offsets = offsets
        parked = ParkedEvents(projectionID: offsets.projectionID)
        breakers = CircuitBreakerTable(projectionID: offsets.projectionID)
    }
}

/// What the database says of the keys and origins of a slice.
struct Parked {
    var rows: [SequenceKey: [RecordOrigin]] = [:]
    /// What is parked of the origins that are retried or discarded.
    var states: [RecordOrigin: ParkingPlan.Row] = [:]
    /// The next offsets of the partitions that retries come from.
    var passed: [TopicPartition: Int64] = [:]
}

/// The plan for a slice's items, and which of them it applies.
struct SlicePlan {
    let parking: ParkingPlan
    let failures: [Int: ItemFailure]
    let applied: ItemSelection
}

/// What a committed transaction did beside the events applied.
struct ParkingResult: Sendable {
    var counts = ParkingCounts()
    /// The keys of the events that were parked.
    var blocked: [SequenceKey] = []
    /// What was counted for circuit breakers, of each partition that something was counted of.
    var failureCounts: [TopicPartition: FailureCounts] = [:]
    var news: [TopicPartition: BreakerNews] = [:]
}

/// Parks what a projection cannot apply: plans what becomes of a slice's items (``ParkingPlan``), and writes the rows,
/// the counts of circuit breakers and the letters of it. It belongs to one ``BatchWriter``, and is used by it alone.
final class ParkingWriter<Event: Sendable> {
    let parking: Parking
    /// The keys that are looked up before events of theirs are applied.
    private(set) var blockedKeys = BlockedKeys()
    /// What circuit breakers count, as last seen, of the partitions that have counts.
    var failureCounts: [TopicPartition: FailureCounts] = [:]
    /// Made with the first letter.
    var letterProducer: LetterProducer?

    var route: DeadLetterRoute { parking.route }

    init(_ parking: Parking) {
        self.parking = parking
    }

    // MARK: looking up

    /// The statements that find out about a slice's keys and origins.
    struct Lookup {
        let keys: [(key: SequenceKey, limit: Int32)]
        let hasRetries: Bool
        let statements: [(Statement, Parameters)]

        /// - Parameter results: of the claim, and of ``statements``.
        func read(_ results: [QueryResult]) throws -> Parked {
            var parked = Parked()
            parked.rows = try ParkedEvents.rows(in: results[1], of: keys)
            guard hasRetries else { return parked }
            parked.passed = try OffsetTable.offsets(in: results[2])
            parked.states = try ParkedEvents.states(in: results[3])
            return parked
        }
    }

    /// Only keys that may be blocked are looked up, and those of retries: of these another one may know more.
    ///
    /// - Returns: nil when nothing can be parked of the slice's keys: the usual case.
    func lookup(_ batch: PreparedBatch<Event>, _ items: ItemSelection, _ tables: ParkingTables) -> Lookup? {
        guard !items.isEmpty else { return nil }
        let retried = batch.retries.isEmpty ? [] : items.filter { batch.retries[$0] != nil }
        guard !blockedKeys.isEmpty || !retried.isEmpty else { return nil }
        var limits: [SequenceKey: Int32] = [:]
        if route.order == .key {
            for item in retried {
                if let key = batch.sequence(item) { limits[key, default: 1] += 1 }
            }
            for item in blockedKeys.isEmpty ? .range(0..<0) : items {
                guard let key = batch.sequence(item), limits[key] == nil, blockedKeys.mayContain(key) else { continue }
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

    /// - Returns: nil when all items are simply applied.
    /// - Throws: ``SliceTooLong`` when a circuit breaker must open before its end.
    func plan(
        _ batch: PreparedBatch<Event>, _ items: ItemSelection, _ slice: BatchSlice, _ found: Parked
    ) throws -> SlicePlan? {
        if slice.failures.isEmpty && found.rows.isEmpty && batch.retries.isEmpty { return nil }
        let subjects = batch.subjects(
            items, failures: slice.failures, order: route.order, passed: found.passed)
        let plan = ParkingPlan(subjects, parked: found.rows, rows: found.states)
        let applied = items.indices.filter { plan.isApplied($0) && subjects[$0].eventID != nil }.map { items[$0] }
        let slicePlan = SlicePlan(parking: plan, failures: slice.failures, applied: .list(applied))
        let cuts = breakerCuts(slicePlan, batch, items)
        if !cuts.isEmpty { throw SliceTooLong(cuts: cuts) }
        return slicePlan
    }

    // MARK: in the transaction

    /// Whether there is anything to write of a slice.
    func hasWork(_ plan: SlicePlan?) -> Bool { plan != nil || !failureCounts.isEmpty }

    /// Writes what is parked and what no longer is, and then the letters: the last step before COMMIT. They come twice
    /// when the transaction is rolled back after all, and are never missing.
    ///
    /// - Parameter fresh: the items that were applied, each for the first time.
    /// - Throws: ``ParkingRefused``; ``LettersMissing`` when the plan needs letters that Kafka does not take.
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

    /// The transaction is committed.
    func committed(_ result: ParkingResult) {
        for (partition, counts) in result.failureCounts {
            failureCounts[partition] = counts.isEmpty ? nil : counts
        }
        blockedKeys.insert(result.blocked)
    }

    // MARK: beside the transaction

    /// Learns which keys are blocked, and what is counted of these partitions.
    ///
    /// - Returns: what circuit breakers are open for.
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

    /// How much is parked: rows, and keys that are blocked.
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

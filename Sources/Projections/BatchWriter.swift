internal import Kafka
internal import Letters
internal import Postgres
internal import StreamCore
internal import Synchronization

/// The database side of a run, on one connection that is opened again after it was lost. It does one task at a time on
/// the connection's thread, because on a busy machine each change of thread makes a transaction longer.
actor BatchWriter<P: Projection> {
    /// The result of a committed transaction.
    struct Committed: Sendable {
        /// The items that were applied for the first time.
        var fresh = ItemSelection.range(0..<0)
        /// The number of those items by type, in the order of ``EventTypes``.
        var types: [Int] = []
        var duplicates = 0
        var parking = ParkingResult()
        /// A letter that Kafka did not accept. Nothing was committed.
        var undelivered: UndeliveredLetter?
        var sequences = SequenceWatch.Counts()
        /// The approximate distance between failing events; nil if none failed or none was searched for.
        var failureDistance: Int?
        var duration = Duration.zero
    }

    let projection: P
    private let eventTypes: EventTypes
    private let thread = PostgresThread()
    private let configuration: PostgresConfiguration
    private let consumerGroup: String
    private let retentionDays: Int
    /// The channel that is notified of applied events; nil for none.
    let notifyChannel: String?
    /// Parks failures; nil if failures stop their partitions.
    let parking: ParkingWriter<P.Event>?
    /// Whether event ids are recorded. If the order of a key matters, they are needed too: an older release may have
    /// discarded an event and deleted its row. If the event is restored, only the ids tell whether it was applied.
    var remembersEvents: Bool { projection.remembersEvents || parking?.route.order == .key }

    /// Tracks whether `apply` of the projection is running.
    nonisolated let handler = HandlerPlace()
    /// Nil if nothing is traced.
    private let tracer = BatchTracer()
    private(set) var session: Session?
    /// Whether there was a session before the current one.
    private var hadSession = false
    /// Number of the next batches that are not tried in one round trip, because that failed.
    var ordinaryWrites = 0
    private var sequences = SequenceWatch()
    private let mustForgetSequences = Atomic(false)

    struct Session {
        let connection: PostgresConnection
        /// Whether the run's memory agrees with the database as this session sees it.
        var isReviewed: Bool
        let tables: ParkingTables
        var days: ProcessedEventDays
        let insertProcessed: Statement
        /// Like `insertProcessed`, but it fails if an event was processed before.
        let insertUnprocessed: Statement
        let deleteProcessed: Statement
    }

    /// The session is new. What the run knows must be compared with the database before it is used.
    struct SessionReplaced: Error {}

    /// Rolls back a transaction that was only a trial.
    struct TakenBack: Error {}

    /// An event failed before the transaction began.
    struct ItemFailed: Error {
        let item: Int
        let failure: ItemFailure
    }

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe thread.unownedExecutor }
    /// The preference of tasks that call ``write(_:_:)``.
    nonisolated var taskExecutor: any TaskExecutor { thread.taskExecutor }

    init(
        _ projection: P, _ configuration: PostgresConfiguration, consumerGroup: String, retentionDays: Int,
        notifyChannel: String? = nil, parking: Parking? = nil
    ) {
        self.notifyChannel = notifyChannel
        self.parking = parking.map { ParkingWriter($0) }
        self.projection = projection
        eventTypes = EventTypes(projection.eventTypes)
        self.configuration = Self.sessions(of: projection, configuration)
        self.consumerGroup = consumerGroup
        self.retentionDays = retentionDays
    }

    private static func sessions(of projection: P, _ configuration: PostgresConfiguration) -> PostgresConfiguration {
        var sessions = configuration
        if projection.isReproducible && sessions.settings["synchronous_commit"] == nil {
            // A transaction that a crash undoes takes its offsets along.
            sessions.settings["synchronous_commit"] = "off"
        }
        return sessions
    }

    func close() async {
        await session?.connection.close()
        session = nil
        await parking?.close()
    }

    /// Discards the known sequences of aggregates before the next write, because partitions were assigned or revoked.
    /// Does not wait for a write in progress.
    nonisolated func forgetSequences() {
        mustForgetSequences.store(true, ordering: .relaxed)
    }

    // MARK: one batch

    /// Applies a slice of a batch in one transaction: offsets, duplicates and read model.
    func write(
        _ batch: PreparedBatch<P.Event>, _ order: WriteOrder
    ) async -> (RunnerState.Input, Committed) {
        guard let span = tracer?.begin(batch, order.slice, group: consumerGroup) else {
            return await tryToWrite(batch, order)
        }
        let (outcome, committed) = await tryToWrite(batch, order)
        span.end(
            outcome, applied: committed.fresh.count, duplicates: committed.duplicates,
            letters: committed.parking.counts.letters.values.reduce(0, +))
        return (outcome, committed)
    }

    private func tryToWrite(
        _ batch: PreparedBatch<P.Event>, _ order: WriteOrder
    ) async -> (RunnerState.Input, Committed) {
        var batch = batch
        let start = ContinuousClock.now
        if mustForgetSequences.exchange(false, ordering: .relaxed) { sequences.reset() }
        let session: Session
        do {
            session = try await openSession()
            try await fetchKeptValues(&batch, order.slice, session)
            if remembersEvents, !batch.items(of: order.slice).isEmpty { try await prepare(batch.days, session) }
        } catch let failed as ItemFailed {
            return (.written(.undecodable(failed.failure, item: failed.item)), Committed())
        } catch {
            return (Self.failed(error), Committed())
        }
        do {
            var committed = try await transact(batch, order, session)
            parking?.committed(committed.parking)
            committed.types = eventTypes.none
            for item in committed.fresh {
                guard let identity = batch.identity(item) else { continue }
                sequences.observe(identity, into: &committed.sequences)
                committed.types[eventTypes.index(of: identity.eventType)] += 1
            }
            committed.duration = .now - start
            return (.written(.committed(committed.parking.news, failureDistance: committed.failureDistance)), committed)
        } catch {
            var committed = Committed()
            committed.undelivered = (error.cause as? LettersMissing)?.undelivered
            return (RunnerState.Input(failed: error, in: batch), committed)
        }
    }

    /// Runs the transaction. Its error says which items were being applied.
    private func transact(
        _ batch: PreparedBatch<P.Event>, _ order: WriteOrder, _ session: Session
    ) async throws(ApplyFault) -> Committed {
        var applying = ItemSelection.range(0..<0)
        do {
            if let committed = try await commitAtOnce(batch, order, session) { return committed }
            return try await commit(batch, order, session, applying: &applying)
        } catch let fault as ApplyFault {
            throw fault
        } catch {
            throw ApplyFault(items: applying, cause: error)
        }
    }

    private func prepare(_ days: Set<Int32>, _ session: Session) async throws {
        var table = session.days
        defer { self.session?.days = table }
        try await table.prepare(days, on: session.connection)
    }

    // MARK: offsets

    func loadOffsets(_ partitions: [TopicPartition]) async -> RunnerState.Input {
        await attempt { session in
            let stored = try await session.tables.offsets.load(partitions, on: session.connection)
            // This is read after the offsets. If a previous owner parks an event later, it also moves one of these
            // offsets, and our own move then fails.
            let open = try await parking?.load(partitions, session.tables, on: session.connection) ?? [:]
            return .offsetsLoaded(
                stored.mapValues(\.next), marks: stored.compactMapValues(\.mark), open: open)
        }
    }

    /// Moves offsets without applying events, for those that have the expected values.
    func rewind(_ moves: [OffsetMove]) async -> RunnerState.Input {
        await attempt { session in
            let (statement, parameters) = session.tables.offsets.move(moves)
            try await session.connection.execute(statement, parameters)
            return .rewound
        }
    }

    /// Determines whether a transaction whose COMMIT was not answered was committed.
    func settle(_ moves: [OffsetMove]) async -> RunnerState.Input {
        await attemptInAnySession { session in
            let partitions = moves.map(\.partition)
            let offsets = try await session.tables.offsets.settled(partitions, on: session.connection)
            let open = try await parking?.load(partitions, session.tables, on: session.connection) ?? [:]
            if moves.allSatisfy({ offsets[$0.partition] == $0.next }) {
                return .settled(.committed, open: open)
            }
            let isUntouched = moves.allSatisfy { offsets[$0.partition] == $0.expected }
            return .settled(isUntouched ? .notCommitted : .fenced, open: open)
        }
    }

    /// Looks whether the session is still open, and opens another one if it is not.
    func checkSession() async -> RunnerState.Input {
        guard hadSession else { return .sessionIsOpen }
        // The socket shows the end of the session, and the next use then finds it closed.
        _ = await session?.connection.isAlive()
        return await attempt { _ in .sessionIsOpen }
    }

    /// Reads again what the run knows of these partitions, and the blocked keys.
    func review(_ partitions: [TopicPartition]) async -> RunnerState.Input {
        await attemptInAnySession { session in
            let stored = try await session.tables.offsets.load(partitions, on: session.connection)
            let open = try await parking?.load(partitions, session.tables, on: session.connection) ?? [:]
            self.session?.isReviewed = true
            return .reviewed(stored.mapValues(\.next), open: open)
        }
    }

    /// - Returns: the number of partitions of `processed_events` that were dropped.
    func prune() async -> (RunnerState.Input, Int) {
        var pruned = 0
        let input = await attempt { session in
            var days = session.days
            pruned = try await days.prune(retentionDays: retentionDays, on: session.connection)
            self.session?.days = days
            return .pruned
        }
        return (input, pruned)
    }

    /// Reads and decodes the values of retried events that are too large for a broker.
    func fetchKeptValues(
        _ batch: inout PreparedBatch<P.Event>, _ slice: BatchSlice, _ session: Session
    ) async throws {
        for item in batch.layout.heavyItems where slice.items.contains(item) && slice.failures[item] == nil {
            let origin = batch.origin(item)
            let results = try await session.connection.pipeline(session.tables.parked.kept(of: origin))
            // The value was deleted with its row, so the event is already applied. Only the answer is repeated.
            guard let kept = try ParkedEvents.Kept(results), let record = batch.record(item) else { continue }
            if let key = kept.key { batch.fill(item, key: key) }
            do throws(EventFailure) {
                let original = record.standing(
                    for: origin.partition, offset: origin.offset, value: kept.value, headers: kept.headers)
                guard case .event(let identity, let event) = try projection.decode(original) else { continue }
                batch.fill(item, identity, event)
            } catch {
                throw ItemFailed(item: item, failure: ItemFailure(stage: .decode, failure: error))
            }
        }
    }

    /// Counts the parked rows and the blocked keys.
    func countParked() async -> (RunnerState.Input, rows: Int64, keys: Int64) {
        var counted: (rows: Int64, keys: Int64) = (0, 0)
        let input = await attempt { session in
            if let parking { counted = try await parking.count(session.tables, on: session.connection) }
            return .counted
        }
        return (input, counted.rows, counted.keys)
    }

    func attempt(_ body: (Session) async throws -> RunnerState.Input) async -> RunnerState.Input {
        do {
            return try await body(try await openSession())
        } catch {
            return Self.failed(error)
        }
    }

    private func attemptInAnySession(
        _ body: (Session) async throws -> RunnerState.Input
    ) async -> RunnerState.Input {
        do {
            return try await body(try await anySession())
        } catch {
            return Self.failed(error)
        }
    }

    /// The input that corresponds to an error of which no event is the cause.
    static func failed(_ error: any Error) -> RunnerState.Input {
        error is SessionReplaced ? .sessionReplaced : .databaseFailed(DatabaseFailure(of: error))
    }

    // MARK: the connection

    /// The session. It is opened if there is none.
    ///
    /// - Throws: ``SessionReplaced`` if it is not the one in which the run's memory was read.
    func openSession() async throws -> Session {
        let session = try await anySession()
        guard session.isReviewed else { throw SessionReplaced() }
        return session
    }

    private func anySession() async throws -> Session {
        if let session, await session.connection.isOpen { return session }
        session = nil
        let connection = try await PostgresConnection.connect(configuration, on: thread)
        do {
            let offsets = try await OffsetTable.register(
                name: projection.name, version: projection.version, consumerGroup: consumerGroup, on: connection)
            let days = ProcessedEventDays(projectionID: offsets.projectionID)
            let session = Session(
                connection: connection, isReviewed: !hadSession, tables: ParkingTables(offsets), days: days,
                insertProcessed: Self.insertProcessed(into: days.table),
                insertUnprocessed: Self.insertUnprocessed(into: days.table),
                deleteProcessed: Self.deleteProcessed(from: days.table))
            self.session = session
            hadSession = true
            // The last events of aggregates may be lost, too.
            sequences.reset()
            return session
        } catch {
            await connection.close()
            throw error
        }
    }

    private static func insertProcessed(into table: String) -> Statement {
        Statement("\(inserting(into: table)) ON CONFLICT DO NOTHING RETURNING event_id")
    }

    private static func insertUnprocessed(into table: String) -> Statement { Statement(inserting(into: table)) }

    private static func inserting(into table: String) -> String {
        """
        INSERT INTO \(table) (event_id, event_day, projection_id)
        SELECT event_id, event_day, $1 FROM unnest($2, $3) AS events (event_id, event_day)
        """
    }

    private static func deleteProcessed(from table: String) -> Statement {
        Statement(
            """
            DELETE FROM \(table) AS p USING unnest($2, $3) AS e (event_id, event_day)
            WHERE p.projection_id = $1 AND p.event_id = e.event_id AND p.event_day = e.event_day
            """)
    }
}

internal import Kafka
internal import Postgres
internal import StreamCore

/// The database's side of a run, on one connection that is made again when it is lost. One piece of work at a time.
actor BatchWriter<P: Projection> {
    /// What a committed transaction did.
    struct Committed: Sendable {
        var applied = 0
        var duplicates = 0
        var sequences = SequenceWatch.Counts()
        var duration = Duration.zero
    }

    let projection: P
    private let configuration: PostgresConfiguration
    private let consumerGroup: String
    private let retentionDays: Int

    private var session: Session?
    private var sequences = SequenceWatch()

    struct Session {
        let connection: PostgresConnection
        let offsets: OffsetTable
        var days: ProcessedEventDays
        let insertProcessed: Statement
    }

    /// Another owner moved the offsets.
    struct Fenced: Error {}

    init(_ projection: P, _ configuration: PostgresConfiguration, consumerGroup: String, retentionDays: Int) {
        self.projection = projection
        self.configuration = configuration
        self.consumerGroup = consumerGroup
        self.retentionDays = retentionDays
    }

    func close() async {
        await session?.connection.close()
        session = nil
    }

    /// Forgets what it knows of aggregates: partitions came or went.
    func forgetSequences() {
        sequences.reset()
    }

    // MARK: one batch

    /// Applies a slice of a batch: offsets, duplicates, read model, in one transaction.
    func write(
        _ batch: PreparedBatch<P.Event>, _ order: WriteOrder
    ) async -> (RunnerState.Input, Committed) {
        var committed = Committed()
        let start = ContinuousClock.now
        let items = batch.items(of: order.slice)
        let session: Session
        do {
            session = try await openSession()
            if !items.isEmpty { try await prepare(batch.days, session) }
        } catch {
            return (.databaseFailed(failure(of: error)), committed)
        }
        do {
            let fresh = try await commit(batch, items, order.moves, session)
            committed.applied = fresh.count
            committed.duplicates = items.count - fresh.count
            for item in fresh { sequences.observe(batch.identities[item], into: &committed.sequences) }
            committed.duration = .now - start
            return (.written(.committed), committed)
        } catch {
            // An event that fails alone is the one to name.
            let culprit = items.count == 1 ? items.first.map { batch.identities[$0].eventID } : nil
            return (outcome(of: error, culprit), committed)
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
            .offsetsLoaded(try await session.offsets.load(partitions, on: session.connection))
        }
    }

    /// Finds out whether a transaction whose COMMIT was not answered was committed.
    func settle(_ moves: [OffsetMove]) async -> RunnerState.Input {
        await attempt { session in
            let partitions = moves.map(\.partition)
            let offsets = try await session.offsets.settled(partitions, on: session.connection)
            if moves.allSatisfy({ offsets[$0.partition] == $0.next }) { return .settled(.committed) }
            let isUntouched = moves.allSatisfy { offsets[$0.partition] == $0.expected }
            return .settled(isUntouched ? .notCommitted : .fenced)
        }
    }

    /// - Returns: how many partitions of `processed_events` were dropped.
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

    private func attempt(_ body: (Session) async throws -> RunnerState.Input) async -> RunnerState.Input {
        do {
            return try await body(try await openSession())
        } catch {
            return .databaseFailed(failure(of: error))
        }
    }

    // MARK: the connection

    private func openSession() async throws -> Session {
        if let session, await session.connection.isOpen { return session }
        session = nil
        let connection = try await PostgresConnection.connect(configuration)
        do {
            let offsets = try await OffsetTable.register(
                name: projection.name, version: projection.version, consumerGroup: consumerGroup, on: connection)
            let days = ProcessedEventDays(projectionID: offsets.projectionID)
            let session = Session(
                connection: connection, offsets: offsets, days: days,
                insertProcessed: Self.insertProcessed(into: days.table))
            self.session = session
            return session
        } catch {
            await connection.close()
            throw error
        }
    }

    private static func insertProcessed(into table: String) -> Statement {
        Statement(
            """
            INSERT INTO \(table) (event_id, event_day, projection_id)
            SELECT event_id, event_day, $1 FROM unnest($2, $3) AS events (event_id, event_day)
            ON CONFLICT DO NOTHING
            RETURNING event_id
            """)
    }

    // MARK: errors

    /// What an error of a batch's transaction means.
    ///
    /// - Parameter culprit: the event, when there was but one.
    private func outcome(of error: any Error, _ culprit: EventID?) -> RunnerState.Input {
        switch error {
        case is Fenced:
            return .written(.fenced)
        case let failure as EventFailure:
            return .written(
                .permanent(EventFailure(failure.errorClass, failure.message, eventID: failure.eventID ?? culprit)))
        case TransactionError.unknownOutcome(let cause):
            return .written(.unknown(DatabaseFailure(kind: .transient, underlying: cause)))
        case TransactionError.rolledBack(let cause):
            return outcome(of: cause, culprit)
        case let error as PostgresError:
            return outcome(of: error, culprit)
        case is CancellationError:
            return .databaseFailed(DatabaseFailure(kind: .transient, underlying: error))
        default:
            let name = "\(type(of: error))"
            return .written(.permanent(EventFailure(name, "applying it failed with \(name)", eventID: culprit)))
        }
    }

    private func outcome(of error: PostgresError, _ culprit: EventID?) -> RunnerState.Input {
        let failure = DatabaseFailure(kind: error.kind, underlying: error)
        switch error.kind {
        case .permanent:
            let errorClass = error.sqlState.map { "sql_\($0)" } ?? "sql_value"
            return .written(.permanent(EventFailure(errorClass, error.description, eventID: culprit)))
        case .transient where error.sqlState == .queryCanceled || error.code == .deadlineExceeded:
            return .written(.tooSlow(failure))
        case .transient, .everything:
            return .databaseFailed(failure)
        }
    }

    /// What an error means where no event can be to blame.
    private func failure(of error: any Error) -> DatabaseFailure {
        let kind: FailureKind =
            switch error {
            case let error as TransactionError: error.kind
            case let error as PostgresError: error.kind
            default: .transient
            }
        return DatabaseFailure(kind: kind == .permanent ? .everything : kind, underlying: error)
    }
}

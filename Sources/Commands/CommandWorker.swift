internal import Events
internal import Postgres
internal import StreamCore

/// Carries out commands with one database session, on the thread of that session.
actor CommandWorker {
    private let thread = PostgresThread()
    private let postgres: PostgresConfiguration
    private let configuration: CommandBusConfiguration
    private let repositories: [ObjectIdentifier: any Repository]
    private let readModels: (any InlineReadModels)?
    private let caches: FactCaches?
    private let queue: CommandQueue
    private let telemetry: CommandTelemetry
    private let turned: @Sendable (CommandBus.Activity) -> Void
    private var connection: PostgresConnection?

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe thread.unownedExecutor }
    /// The preference of the task that calls ``run()``.
    nonisolated var taskExecutor: any TaskExecutor { thread.taskExecutor }

    /// The result of a transaction.
    private enum Attempt {
        case committed([CommandReply])
        /// Nothing was changed. Repeating the transaction may help.
        case again(CommandFailure, any Error)
        /// Nothing was changed. One of the commands is the reason.
        case oneFails(CommandFailure, any Error)
        /// Nothing was changed. Repeating does not help any of the commands.
        case allFail(CommandFailure, any Error)
    }

    init(
        _ postgres: PostgresConfiguration, _ configuration: CommandBusConfiguration,
        _ repositories: [ObjectIdentifier: any Repository], _ readModels: (any InlineReadModels)?,
        _ caches: FactCaches?, _ queue: CommandQueue, _ telemetry: CommandTelemetry,
        turned: @escaping @Sendable (CommandBus.Activity) -> Void
    ) {
        self.postgres = postgres
        self.configuration = configuration
        self.repositories = repositories
        self.readModels = readModels
        self.caches = caches
        self.queue = queue
        self.telemetry = telemetry
        self.turned = turned
    }

    /// Takes commands from the queue and runs one transaction at a time, until the queue is closed and empty.
    func run() async {
        while true {
            turned(.idle)
            let batch = await queue.next(limit: configuration.batchLimit)
            if batch.isEmpty { break }
            turned(.working)
            telemetry.waiting(queue.count)
            telemetry.began(batch.count)
            await carryOut(batch)
        }
        await connection?.close()
    }

    /// Carries out commands in one transaction. If one of them prevents the commit, they are split into several
    /// transactions.
    ///
    /// - Parameter trustsCaches: whether cached facts are used. After a failure all facts are read from the database,
    ///   because a stale fact may be the reason.
    private func carryOut(_ given: [PendingCommand], trustsCaches: Bool = true) async {
        var batch = given
        var attempts = 0
        var backoff = Backoff(initial: .milliseconds(2), ceiling: .milliseconds(200))
        while true {
            batch = dropExpired(batch)
            if batch.isEmpty { return }
            attempts += 1
            turned(.working)
            switch await attempt(batch, trustsCaches: trustsCaches && attempts == 1) {
            case .committed(let replies): return await deliver(replies, to: batch)
            case .again(let failure, let error):
                if attempts >= configuration.maxAttempts || Task.isCancelled { return fail(batch, failure) }
                telemetry.retrying(error)
                // A cancellation ends the sleep early, and the next attempt too.
                try? await Task.sleep(for: backoff.next())
            case .oneFails(let failure, let error):
                if batch.count > 1 {
                    let middle = batch.count / 2
                    await carryOut(Array(batch[..<middle]), trustsCaches: false)
                    return await carryOut(Array(batch[middle...]), trustsCaches: false)
                }
                if failure != .conflict || attempts >= configuration.maxAttempts {
                    telemetry.failed(error)
                    return fail(batch, failure)
                }
                telemetry.retrying(error)
                try? await Task.sleep(for: backoff.next())
            case .allFail(let failure, let error):
                telemetry.failed(error)
                return fail(batch, failure)
            }
        }
    }

    private func deliver(_ replies: [CommandReply], to batch: [PendingCommand]) async {
        var left: [PendingCommand] = []
        for (pending, reply) in zip(batch, replies) {
            if case .again = reply { left.append(pending) } else { answer(pending, reply) }
        }
        if left.count == batch.count, left.count == 1 {
            telemetry.failed(StoredStateError.unplannedRead)
            return fail(left, .failed)
        }
        for pending in left { await carryOut([pending]) }
    }

    private func dropExpired(_ batch: [PendingCommand]) -> [PendingCommand] {
        let now = ContinuousClock.now
        fail(batch.filter { $0.deadline <= now }, .deadlineExceeded)
        return batch.filter { $0.deadline > now }
    }

    private func fail(_ batch: [PendingCommand], _ failure: CommandFailure) {
        for pending in batch { answer(pending, .failed(failure)) }
    }

    private func answer(_ pending: PendingCommand, _ reply: CommandReply) {
        pending.answer(reply, telemetry)
    }

    // MARK: one transaction

    private func attempt(_ batch: [PendingCommand], trustsCaches: Bool) async -> Attempt {
        let work = CommandWork(repositories, readModels, caches, trustsCaches: trustsCaches, now: .now)
        do {
            let connection = try await open()
            let channel = configuration.notifyChannel
            try await connection.withTransaction { try await work.run(batch.map(\.job), notifying: channel, in: $0) }
            return .committed(work.replies)
        } catch let error as TransactionError {
            if case .unknownOutcome = error { return await lookUp(work, batch, error) }
            return Self.meaning(of: error.cause)
        } catch let error as PostgresError {
            return Self.meaning(of: error)
        } catch let failure as InlineFailure {
            return Self.meaning(of: failure.kind, failure)
        } catch {
            return .oneFails(.failed, error)
        }
    }

    private static func meaning(of error: PostgresError) -> Attempt {
        if Task.isCancelled { return .allFail(.stopped, error) }
        if error.sqlState?.isConflict == true { return .oneFails(.conflict, error) }
        return meaning(of: error.kind, error)
    }

    private static func meaning(of kind: FailureKind, _ error: any Error) -> Attempt {
        switch kind {
        case .transient: .again(.unavailable, error)
        case .permanent: .oneFails(.failed, error)
        case .everything: .allFail(.failed, error)
        }
    }

    /// Asks the server for the result of a transaction whose connection was lost during COMMIT.
    ///
    /// The transaction's id alone proves nothing. A server that took over from another one, or that crashed, may not
    /// have the transaction and may have given its id to another one. So the aggregates are read as well.
    private func lookUp(_ work: CommandWork, _ batch: [PendingCommand], _ error: TransactionError) async -> Attempt {
        guard let (id, serverStart) = work.transaction else { return .again(.unavailable, error) }
        var parameters = Parameters()
        parameters.append(id)
        var backoff = Backoff(initial: .milliseconds(10), ceiling: .milliseconds(500))
        let end = batch.map(\.deadline).max() ?? .now
        while ContinuousClock.now < end && !Task.isCancelled {
            turned(.working)
            do {
                let connection = try await open()
                let rows = try await connection.execute(Self.status, parameters)
                switch try rows.optionalString(0, 0) {
                case "committed":
                    let isSameServer = try rows.string(0, 1) == serverStart
                    return switch try await work.isStored(on: connection) {
                    case true?: .committed(work.replies)
                    case false?: .again(.unavailable, error)
                    case nil: isSameServer ? .committed(work.replies) : .allFail(.unknownOutcome, error)
                    }
                case "aborted": return .again(.unavailable, error)
                case "in progress": break  // The lost session has not ended it yet.
                default: return .allFail(.unknownOutcome, error)
                }
            } catch let failure as PostgresError where failure.sqlState == .invalidParameterValue {
                // The server has not reached this id, so it does not have the transaction.
                return .again(.unavailable, error)
            } catch {
                telemetry.retrying(error)
            }
            try? await Task.sleep(for: backoff.next())
        }
        return .allFail(.unknownOutcome, error)
    }

    private static let status: Statement = """
        SELECT pg_xact_status($1::text::xid8), pg_postmaster_start_time()::text
        """

    private func open() async throws(PostgresError) -> PostgresConnection {
        if let connection, await connection.isOpen { return connection }
        let opened = try await PostgresConnection.connect(postgres, on: thread)
        // The server may be one that does not have the last changes, and the listener may not have noticed yet.
        if connection != nil { caches?.removeAll() }
        connection = opened
        return opened
    }
}

extension PendingCommand {
    /// Resumes the waiting task, and records the answer.
    func answer(_ reply: CommandReply, _ telemetry: CommandTelemetry) {
        if case .command(_, let handler, _) = job {
            telemetry.answered(handler.name, reply, after: .now - arrival)
        }
        waiter.resume(returning: reply)
    }
}

extension SQLState {
    /// Also raised by `pg_xact_status` for an id that was not assigned yet.
    fileprivate static let invalidParameterValue = SQLState("22023")
    /// Raised by `commands_expect` if an aggregate does not have the version that was loaded.
    static let versionConflict = SQLState("CQ409")

    /// Whether another writer was first: it changed the version, inserted the same new row, or deleted a row.
    fileprivate var isConflict: Bool {
        self == .versionConflict || self == .uniqueViolation || self == .foreignKeyViolation
    }
}

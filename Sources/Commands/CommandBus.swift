public import Events
public import Logging
public import Postgres
internal import Synchronization

/// Accepts commands and passes each to the handler of its type. It commits state or events, the outbox rows and the
/// stored answer in one transaction.
///
/// Commands that arrive while all sessions are busy share the next transaction. So the cost of each command decreases
/// as the queue grows.
public final class CommandBus: Sendable {
    private let configuration: CommandBusConfiguration
    private let postgres: PostgresConfiguration
    private let handlers: [ObjectIdentifier: CommandHandler]
    private let repositories: [ObjectIdentifier: any Repository]
    private let readModels: (any InlineReadModels)?
    private let caches: FactCaches?
    private let queue: CommandQueue
    private let telemetry: CommandTelemetry
    private let lastID = Atomic<UInt64>(0)

    /// - Parameters:
    ///   - postgres: the database with the write model, the table `outbox` and the migration set `commands`.
    ///   - commands: the types of all commands that will be sent. Each must have a handler.
    ///   - readModels: applies events to the read models that commands update; nil if this program cannot. Without it,
    ///     commands fail while the database has such a read model.
    ///   - cachedFacts: the facts that may be cached in memory.
    /// - Throws: ``CommandBusError`` with all problems of the arguments.
    public init(
        _ configuration: CommandBusConfiguration, postgres: PostgresConfiguration, commands: [any Command.Type],
        handlers: [CommandHandler], repositories: [any Repository], readModels: (any InlineReadModels)? = nil,
        cachedFacts: [any CachedFact.Type] = [],
        logger: Logger
    ) throws(CommandBusError) {
        self.configuration = configuration
        self.postgres = configuration.session(postgres)
        let checked = try CommandBusCheck(commands, handlers, repositories, configuration).tables()
        self.handlers = checked.handlers
        self.repositories = checked.repositories
        self.readModels = readModels
        caches = FactCaches(cachedFacts, configuration)
        queue = CommandQueue(maxCount: configuration.maxQueued)
        telemetry = CommandTelemetry(logger, level: configuration.logLevel, commands: handlers.map(\.name))
    }

    /// The activity of a worker.
    public enum Activity: Sendable {
        /// The worker waits for commands.
        case idle
        /// The worker has begun a step.
        case working
    }

    /// Runs until ``stop()`` is called and the queue is empty. If the task is cancelled, the bus abandons the open
    /// transactions, which then change nothing.
    ///
    /// - Parameter turned: called with the number of a worker, from 0, and the activity that it begins.
    public func run(turned: @escaping @Sendable (Int, Activity) -> Void = { _, _ in }) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.expire() }
            group.addTask { await self.pruner.run() }
            if let caches {
                group.addTask {
                    await FactListener(postgres: self.postgres, caches: caches, telemetry: self.telemetry).run()
                }
            }
            await withTaskCancellationHandler {
                await withTaskGroup(of: Void.self) { workers in
                    for number in 0..<configuration.connections {
                        let worker = CommandWorker(
                            postgres, configuration, repositories, readModels, caches, queue, telemetry
                        ) {
                            turned(number, $0)
                        }
                        workers.addTask(executorPreference: worker.taskExecutor) { await worker.run() }
                    }
                }
            } onCancel: {
                stop()
            }
            group.cancelAll()
        }
        for pending in queue.removeAll() { pending.answer(.failed(.stopped), telemetry) }
    }

    /// Rejects new commands. The bus still carries out the commands in the queue.
    public func stop() {
        queue.close()
    }

    /// The number of commands and queries in the queue.
    public var waiting: Int { queue.count }

    /// Whether the bus caches facts now. It does so while it runs and receives notifications of changes, if it has
    /// cacheable facts.
    public var keepsFacts: Bool { caches?.isListening ?? false }

    private var pruner: AnswerPruner {
        AnswerPruner(
            postgres: postgres, keptHours: configuration.answersKeptHours, intervalS: configuration.pruneIntervalS,
            telemetry: telemetry)
    }

    /// Deletes the stored answers whose retention time is over. ``run()`` also does this at intervals.
    ///
    /// - Returns: the number of deleted answers.
    public func pruneAnswers() async throws -> Int { try await pruner.pass() }

    /// Ends the wait of commands whose deadline passes while all sessions are busy.
    private func expire() async {
        while !Task.isCancelled {
            for pending in queue.removeExpired(at: .now) { pending.answer(.failed(.deadlineExceeded), telemetry) }
            telemetry.waiting(queue.count)
            let next = queue.nextDeadline
            await withTaskGroup(of: Void.self) { group in
                // The cancellation ends the sleep early.
                if let next { group.addTask { try? await Task.sleep(until: next, clock: .continuous) } }
                group.addTask { await self.queue.waitForDeadline(before: next) }
                await group.next()
                group.cancelAll()
            }
        }
    }

    // MARK: sending

    /// Carries a command out. Returns after it was committed or refused.
    ///
    /// If the caller's task is cancelled after a worker has taken the command, the command still ends normally and the
    /// caller gets its result.
    ///
    /// - Throws: the reason why there is no answer. Nothing was changed then, except possibly for
    ///   ``CommandFailure/unknownOutcome``.
    @discardableResult
    public func send<C: Command>(
        _ command: C, _ request: CommandRequest = CommandRequest()
    ) async throws(CommandFailure) -> CommandOutcome {
        guard let handler = handlers[ObjectIdentifier(C.self)] else { throw .failed }
        var request = request
        let span = CommandSpan(C.name, &request)
        let reply = await wait(.command(command, handler, request), timeout: request.timeout, name: C.name)
        span?.end(reply)
        switch reply {
        case .outcome(let outcome, _): return outcome
        case .failed(let failure): throw failure
        case .rows, .again: throw .failed
        }
    }

    /// Runs read-only statements in the transactions of commands. The rows include the changes of all commands that
    /// were answered before.
    public func query(
        _ statements: [(Statement, Parameters)]
    ) async throws(CommandFailure) -> [QueryResult] {
        switch await wait(.query(statements), timeout: nil, name: nil) {
        case .rows(let results): return results
        case .failed(let failure): throw failure
        case .outcome, .again: throw .failed
        }
    }

    /// Reads an aggregate from the write model; nil if it does not exist.
    public func aggregate<D: Decider>(
        _: D.Type, _ id: String
    ) async throws(CommandFailure) -> Loaded<D.State>? {
        guard let repository = repositories[ObjectIdentifier(D.self)] as? any Repository<D> else { throw .failed }
        let results = try await query(repository.reads([id], locking: false))
        do {
            return try repository.loaded(results[...])[id]
        } catch {
            telemetry.failed(error)
            throw .failed
        }
    }

    private func wait(_ job: PendingCommand.Job, timeout: Duration?, name: String?) async -> CommandReply {
        let id = lastID.add(1, ordering: .relaxed).newValue
        let arrival = ContinuousClock.now
        let deadline = arrival + (timeout ?? .milliseconds(configuration.timeoutMs))
        return await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in
                let pending = PendingCommand(id: id, job: job, arrival: arrival, deadline: deadline, waiter: waiter)
                if let refusal = queue.append(pending) { pending.answer(.failed(refusal), telemetry) }
                telemetry.waiting(queue.count)
            }
        } onCancel: {
            queue.remove(id)?.answer(.failed(.cancelled), telemetry)
            telemetry.waiting(queue.count)
        }
    }
}

extension CommandBusConfiguration {
    /// The configuration of a session for commands.
    func session(_ postgres: PostgresConfiguration) -> PostgresConfiguration {
        var session = postgres
        session.statementTimeoutMs = statementTimeoutMs
        session.lockTimeoutMs = min(lockTimeoutMs, statementTimeoutMs)
        session.settings.merge(CommandExecutor.sessionSettings) { given, _ in given }
        return session
    }
}

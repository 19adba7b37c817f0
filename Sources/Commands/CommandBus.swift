public import Events
public import Logging
public import Postgres
internal import Synchronization

/// Takes commands, hands each to the one handler of its type, and commits state or events, the outbox rows and the kept
/// answer in one transaction.
///
/// Commands that arrive while a session is busy share its next transaction: the fuller the queue, the less each costs.
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
    ///   - postgres: where the write model, the table `outbox` and the migrations `commands` are.
    ///   - commands: all that will be sent: each must have a handler.
    ///   - readModels: what applies events to the read models that commands keep; nil where this program cannot. Then a
    ///     command fails while there is such a read model in the database.
    ///   - cachedFacts: what may be kept in memory.
    /// - Throws: ``CommandBusError`` that names all that does not fit together.
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

    /// What one of the workers does.
    public enum Activity: Sendable {
        /// It waits for commands.
        case idle
        /// It has begun something.
        case working
    }

    /// Works until ``stop()``, and then until nothing waits any more. A task that is cancelled gives up what is under
    /// way; nothing of it is changed.
    ///
    /// - Parameter turned: told what each worker begins, by its number from 0 on.
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
                        workers.addTask { await worker.run() }
                    }
                }
            } onCancel: {
                stop()
            }
            group.cancelAll()
        }
        for pending in queue.removeAll() { pending.answer(.failed(.stopped), telemetry) }
    }

    /// Takes no more commands; those that wait are carried out.
    public func stop() {
        queue.close()
    }

    /// How many commands and questions wait for their turn.
    public var waiting: Int { queue.count }

    /// Whether facts are kept in memory now: the bus has some to keep, runs, and hears of changes by others.
    public var keepsFacts: Bool { caches?.isListening ?? false }

    private var pruner: AnswerPruner {
        AnswerPruner(
            postgres: postgres, keptHours: configuration.answersKeptHours, intervalS: configuration.pruneIntervalS,
            telemetry: telemetry)
    }

    /// Deletes the kept answers that are too old. ``run()`` does it now and then.
    ///
    /// - Returns: how many there were.
    public func pruneAnswers() async throws -> Int { try await pruner.pass() }

    /// Answers those whose time is over while all sessions are busy.
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

    /// Carries a command out. Returns when it is committed, or refused.
    ///
    /// A caller whose task is cancelled leaves a command that has its turn to its end, and learns that end.
    ///
    /// - Throws: why there is no answer; nothing was changed then, unless it is ``CommandFailure/unknownOutcome``.
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

    /// Runs statements that change nothing, on the round trips of commands: their rows are the write model's, with all
    /// that was answered before.
    public func query(
        _ statements: [(Statement, Parameters)]
    ) async throws(CommandFailure) -> [QueryResult] {
        switch await wait(.query(statements), timeout: nil, name: nil) {
        case .rows(let results): return results
        case .failed(let failure): throw failure
        case .outcome, .again: throw .failed
        }
    }

    /// An aggregate as the write model has it; nil where there is none.
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
    /// A session for commands.
    func session(_ postgres: PostgresConfiguration) -> PostgresConfiguration {
        var session = postgres
        session.statementTimeoutMs = statementTimeoutMs
        session.lockTimeoutMs = min(lockTimeoutMs, statementTimeoutMs)
        session.settings.merge(CommandExecutor.sessionSettings) { given, _ in given }
        return session
    }
}

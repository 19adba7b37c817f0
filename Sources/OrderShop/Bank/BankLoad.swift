internal import AccountCommands
public import Commands
internal import Events
public import Logging
public import Postgres
internal import StreamCore
internal import Synchronization

/// Plays a bank against a database. It opens accounts, then deposits, withdraws and transfers money, with the commands
/// and rules of command-service.
public final class BankLoad: Sendable {
    /// The settings of a load.
    public struct Configuration: Sendable {
        /// The seed. The same seed results in the same movements.
        public var seed: UInt64 = 1
        /// Movements per second; 0 for as many as the database can write.
        public var movementsPerSecond = 50.0
        /// The number of movements to play; nil for no limit.
        public var movements: Int?
        /// The duration of the load; nil for no limit.
        public var duration: Duration?
        /// The number of connections that write.
        public var connections = 4
        /// The number of accounts.
        public var accounts = 1_000

        public init() {}
    }

    /// The progress of a load.
    public struct Totals: Sendable, Hashable {
        public var accounts = 0
        public var movements = 0
        /// Movements that a rule refused, most of them because the balance was too low.
        public var refused = 0

        public init() {}
    }

    /// The topic of the accounts' events, named by the rule of the relay.
    public static let topic = "account-events"

    private let configuration: Configuration
    private let bus: CommandBus
    private let onTrouble: @Sendable (String) -> Void
    private let isStopping = Atomic(false)
    private let counted = Mutex(Totals())

    /// The number of concurrent movements for each connection.
    private static let playersPerConnection = 8
    private static let pause = Duration.milliseconds(200)

    /// - Parameters:
    ///   - configuration: the settings.
    ///   - database: the database, with the migration sets `outbox` and `commands`.
    ///   - onTrouble: called when a command got no answer and is sent again.
    /// - Throws: `CommandBusError` if the configuration is not valid for a bus.
    public init(
        _ configuration: Configuration, database: PostgresConfiguration, logger: Logger,
        onTrouble: @escaping @Sendable (String) -> Void = { _ in }
    ) throws(CommandBusError) {
        precondition(
            configuration.connections >= 1 && configuration.accounts >= 2,
            "there must be at least 1 connection and 2 accounts")
        self.configuration = configuration
        self.onTrouble = onTrouble
        bus = try CommandBus(
            .load(connections: configuration.connections), postgres: database, commands: AccountCommands.all,
            handlers: AccountCommands.handlers(.standard), repositories: [AccountCommands.streams], logger: logger)
    }

    /// The progress. It can be read from any task.
    public var totals: Totals { counted.withLock { $0 } }

    /// Ends ``run()`` after the current commands.
    public func stop() { isStopping.store(true, ordering: .relaxed) }

    /// Opens the accounts, and plays until all movements are made, the duration is over, ``stop()`` is called, or the
    /// task is cancelled.
    ///
    /// - Returns: the totals.
    @discardableResult
    public func run() async -> Totals {
        // Each run has new accounts, so the movements of a seed do not depend on earlier runs.
        let plan = BankPlan(
            seed: configuration.seed, run: String(UInt64(Timestamp.now.microseconds), radix: 36),
            accounts: configuration.accounts)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.bus.run() }
            await inParallel(configuration.accounts) { number in
                if await self.carriesOut(plan.opening(of: number)) { self.counted.withLock { $0.accounts += 1 } }
            }
            let start = ContinuousClock.now
            await inParallel(configuration.movements ?? .max) { number in
                guard await self.isDue(number, since: start) else { return }
                let isDone = await self.carriesOut(plan.movement(number))
                self.counted.withLock { totals in
                    if isDone { totals.movements += 1 } else { totals.refused += 1 }
                }
            }
            bus.stop()
        }
        return totals
    }

    /// Calls `body` with numbers from 0, several at a time, until all are used or the load has ended.
    private func inParallel(_ count: Int, _ body: @escaping @Sendable (Int) async -> Void) async {
        let numbers = NumberSource(count: count)
        await withTaskGroup(of: Void.self) { players in
            for _ in 0..<(configuration.connections * Self.playersPerConnection) {
                players.addTask {
                    while !self.isOver, let number = numbers.next() { await body(number) }
                }
            }
        }
    }

    private var isOver: Bool { isStopping.load(ordering: .relaxed) || Task.isCancelled }

    /// Waits until the movement is due.
    ///
    /// - Returns: false if the load ended before.
    private func isDue(_ number: Int, since start: ContinuousClock.Instant) async -> Bool {
        let pace = LoadPacer(ordersPerSecond: configuration.movementsPerSecond)
        let due = start + .seconds(pace.due(number))
        while true {
            let now = ContinuousClock.now
            if let duration = configuration.duration, now - start >= duration { stop() }
            if isOver { return false }
            if now >= due { return true }
            // The sleep is short, so that it notices a stop.
            try? await Task.sleep(for: min(due - now, .milliseconds(50)))
        }
    }

    /// Sends a command until it gets an answer. The idempotency key ensures that it is carried out once.
    ///
    /// - Returns: whether it was carried out; false if a rule refused it or the load ended.
    private func carriesOut(_ step: BankPlan.Step) async -> Bool {
        var request = CommandRequest()
        request.metadata = EventMetadata(source: "bank")
        request.idempotencyKey = IdempotencyKey(scope: "bank", key: step.key, request: [Array(step.key.utf8)])
        repeat {
            do throws(CommandFailure) {
                switch try await send(step.command, request).verdict {
                case .accepted: return true
                case .refused: return false
                }
            } catch {
                if error == .failed { return false }
                onTrouble("\(error)")
                // A cancellation ends the sleep early, and then the loop.
                try? await Task.sleep(for: Self.pause)
            }
        } while !isOver
        return false
    }

    private func send(
        _ command: BankPlan.Command, _ request: CommandRequest
    ) async throws(CommandFailure) -> CommandOutcome {
        switch command {
        case .open(let open): try await bus.send(open, request)
        case .deposit(let deposit): try await bus.send(deposit, request)
        case .withdraw(let withdrawal): try await bus.send(withdrawal, request)
        case .transfer(let transfer): try await bus.send(transfer, request)
        }
    }
}

/// Hands out each number from 0 once.
private final class NumberSource: Sendable {
    private let count: Int
    private let last = Mutex(0)

    init(count: Int) {
        self.count = count
    }

    func next() -> Int? {
        last.withLock { last in
            guard last < count else { return nil }
            defer { last += 1 }
            return last
        }
    }
}

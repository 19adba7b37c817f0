internal import AccountCommands
public import Commands
internal import Events
public import Logging
public import Postgres
internal import StreamCore
internal import Synchronization

/// Plays a bank against a database: accounts are opened, and money is paid in, paid out and transferred, by the
/// commands and rules that command-service has.
public final class BankLoad: Sendable {
    /// What to play.
    public struct Configuration: Sendable {
        /// The same seed gives the same movements.
        public var seed: UInt64 = 1
        /// Movements a second; 0 for as many as the database takes.
        public var movementsPerSecond = 50.0
        /// How many movements to play; nil for no end.
        public var movements: Int?
        /// How long to play; nil for no end.
        public var duration: Duration?
        /// How many connections write.
        public var connections = 4
        /// How many accounts there are.
        public var accounts = 1_000

        public init() {}
    }

    /// What was done until now.
    public struct Totals: Sendable, Hashable {
        public var accounts = 0
        public var movements = 0
        /// Movements that a rule has refused, for want of money above all.
        public var refused = 0

        public init() {}
    }

    /// The topic of the accounts' events, by the relay's own rule.
    public static let topic = "account-events"

    private let configuration: Configuration
    private let bus: CommandBus
    private let onTrouble: @Sendable (String) -> Void
    private let isStopping = Atomic(false)
    private let counted = Mutex(Totals())

    /// How many movements are under way on each connection.
    private static let playersPerConnection = 8
    private static let pause = Duration.milliseconds(200)

    /// - Parameters:
    ///   - configuration: what to play.
    ///   - database: where; the migrations `outbox` and `commands` are there.
    ///   - onTrouble: told when a command has no answer, and is sent again.
    /// - Throws: `CommandBusError` when the configuration fits no bus.
    public init(
        _ configuration: Configuration, database: PostgresConfiguration, logger: Logger,
        onTrouble: @escaping @Sendable (String) -> Void = { _ in }
    ) throws(CommandBusError) {
        precondition(configuration.connections >= 1 && configuration.accounts >= 2, "nobody could pay")
        self.configuration = configuration
        self.onTrouble = onTrouble
        bus = try CommandBus(
            .load(connections: configuration.connections), postgres: database, commands: AccountCommands.all,
            handlers: AccountCommands.handlers(.standard), repositories: [AccountCommands.streams], logger: logger)
    }

    /// What was done until now; from any task.
    public var totals: Totals { counted.withLock { $0 } }

    /// Ends ``run()`` after the commands under way.
    public func stop() { isStopping.store(true, ordering: .relaxed) }

    /// Opens the accounts, and plays until all movements are made, the duration is over, or ``stop()`` or the task's
    /// cancellation ends it.
    ///
    /// - Returns: what was done.
    @discardableResult
    public func run() async -> Totals {
        // New accounts in each run: the movements of a seed are the same, whatever was played before.
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

    /// Takes numbers from 0 on, several at a time, until they are used up or the load is over.
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

    /// Waits until a movement is due.
    ///
    /// - Returns: false when the load is over before.
    private func isDue(_ number: Int, since start: ContinuousClock.Instant) async -> Bool {
        let pace = LoadPacer(ordersPerSecond: configuration.movementsPerSecond)
        let due = start + .seconds(pace.due(number))
        while true {
            let now = ContinuousClock.now
            if let duration = configuration.duration, now - start >= duration { stop() }
            if isOver { return false }
            if now >= due { return true }
            // Short, so that a stop is noticed.
            try? await Task.sleep(for: min(due - now, .milliseconds(50)))
        }
    }

    /// Sends a command until it has an answer. The key makes sure that it is carried out once.
    ///
    /// - Returns: whether it was carried out; false when a rule refuses it, or the load is over.
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
                // Cut short by the cancellation, which ends the loop.
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

/// Numbers from 0 on, each handed out once.
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

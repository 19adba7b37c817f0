internal import AccountCommands
public import Commands
internal import Events
public import Logging
public import Postgres

/// Plays a bank against a database. It opens accounts, then deposits, withdraws and transfers money, with the commands
/// and rules of command-service.
public final class BankLoad: PlayedBank {
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

    private let bus: CommandBus
    private let player: BankPlayer
    private let onTrouble: @Sendable (String) -> Void

    /// The number of concurrent movements for each connection. They share transactions.
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
        player = BankPlayer(configuration, players: configuration.connections * Self.playersPerConnection)
        self.onTrouble = onTrouble
        bus = try CommandBus(
            .load(connections: configuration.connections), postgres: database, commands: AccountCommands.all,
            handlers: AccountCommands.handlers(.standard), repositories: [AccountCommands.streams], logger: logger)
    }

    public var totals: Totals { player.totals }

    public func stop() { player.stop() }

    @discardableResult
    public func run() async -> Totals {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.bus.run() }
            await player.run { await self.carryOut($0) }
            bus.stop()
        }
        return totals
    }

    /// Sends a command until it gets an answer. The idempotency key ensures that it is carried out once.
    private func carryOut(_ step: BankPlan.Step) async -> BankPlayer.Outcome {
        var request = CommandRequest()
        request.metadata = EventMetadata(source: "bank")
        request.idempotencyKey = IdempotencyKey(scope: "bank", key: step.key, request: [Array(step.key.utf8)])
        repeat {
            do throws(CommandFailure) {
                switch try await send(step.command, request).verdict {
                case .accepted: return .carriedOut
                case .refused: return .refused
                }
            } catch {
                if error == .failed { return .refused }
                onTrouble("\(error)")
                // A cancellation ends the sleep early, and then the loop.
                try? await Task.sleep(for: Self.pause)
            }
        } while !player.isOver
        return .stopped
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

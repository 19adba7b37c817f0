import AccountCommands
import Accounts
import CommandKit
import CommandPrograms
import Commands
import Events
import Logging
import Outbox
import Postgres
import Projections
import StreamCore
import TestKit
import Testing

@testable import SQLProjections

/// Accounts that process commands, a relay that publishes their events, and a projection of them.
struct InlineScene {
    let scene: Scene
    let suffix: String
    let bus: CommandBus

    static let files = [
        "schema.sql": """
        CREATE TABLE balances (account text PRIMARY KEY, balance numeric NOT NULL CHECK (balance < 1000), moves int NOT NULL)
        """,
        "MoneyDeposited.sql": """
        INSERT INTO balances SELECT aggregate_id, sum((payload ->> 'amount')::numeric), count(*) FROM events GROUP BY 1
        ON CONFLICT (account) DO UPDATE
            SET balance = balances.balance + excluded.balance, moves = balances.moves + excluded.moves
        """,
    ]

    static func bus(
        _ database: PostgresConfiguration, _ readModels: (any InlineReadModels)? = InlineFolders(),
        maxAttempts: Int = 100, statementTimeoutMs: Int = 120_000
    ) throws -> CommandBus {
        var configuration = CommandBusConfiguration()
        configuration.connections = 2
        configuration.timeoutMs = 120_000
        configuration.lockTimeoutMs = 120_000
        configuration.statementTimeoutMs = statementTimeoutMs
        configuration.maxAttempts = maxAttempts
        return try CommandBus(
            configuration, postgres: database, domains: [AccountCommands.domain(.standard)], readModels: readModels,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    static func with(_ body: (InlineScene) async throws -> Void) async throws {
        let suffix = "-" + String(UInt64.random(in: .min ... .max), radix: 36)
        try await Scene.with(topic: "account" + suffix, migrating: ["outbox", "commands"]) { scene in
            let bus = try bus(scene.postgres)
            try await CommandScene.running(bus) {
                try await body(InlineScene(scene: scene, suffix: suffix, bus: bus))
            }
        }
    }

    /// Runs a relay while `body` runs.
    func relaying<Result: Sendable>(
        retention: OutboxRelayConfiguration.Retention = .delete, _ body: () async throws -> Result
    ) async throws -> Result {
        var configuration = OutboxRelayConfiguration()
        configuration.retention = retention
        configuration.topicSuffix = suffix
        configuration.electionIntervalMs = 20
        let relay = OutboxRelay(
            configuration: configuration, postgres: scene.postgres, kafka: scene.kafka,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        return try await withThrowingTaskGroup { group in
            group.addTask { try await relay.run() }
            let result = try await body()
            group.cancelAll()
            try await group.waitForAll()
            return result
        }
    }

    func takeover(_ version: VersionSchema) -> InlineTakeover {
        InlineTakeover(version, patient, kafka: scene.kafka, topicSuffix: suffix)
    }

    private var patient: PostgresConfiguration {
        var patient = scene.postgres
        patient.lockTimeoutMs = 120_000
        return patient
    }

    /// Creates a version and hands it over to the commands before there are events.
    func inlineVersion(
        _ files: [String: String] = Self.files, settings: String = ""
    ) async throws -> (Folder, VersionSchema) {
        let (place, folder) = try scene.folder(files, settings: settings)
        let version = try await scene.version(folder)
        #expect(try await takeover(version).run(waitingUpTo: .seconds(120)))
        return (place, version)
    }

    func verify(_ version: VersionSchema) async throws -> [TableComparison] {
        var bounds = FolderReplay.Bounds()
        bounds.holdMs = 120_000
        return try await FolderReplay(version, patient, kafka: scene.kafka, bounds: bounds).run()
    }

    // MARK: commands

    static func euros(_ cents: Int) -> Money {
        guard let currency = Currency("EUR") else { preconditionFailure("EUR is a currency") }
        return Money(DecimalAmount(coefficient: Int128(cents), scale: 2), currency)
    }

    func open(_ id: String) async throws {
        let account = AccountOpened(owner: "Ada", currency: Self.euros(0).currency)
        try await bus.send(OpenAccount(accountID: id, account: account))
    }

    func deposit(_ id: String, euros: Int) async throws {
        try await bus.send(DepositMoney(accountID: id, money: Self.euros(euros * 100)))
    }

    /// `account balance moves` of each row, with rounded balances.
    func balances(_ version: VersionSchema) async throws -> [String] {
        try await scene.column(
            "SELECT concat_ws(' ', account, round(balance), moves) FROM \(version.name).balances ORDER BY 1")
    }
}

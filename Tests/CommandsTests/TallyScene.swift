import Commands
import Events
import Logging
import Postgres
import TestKit

/// A schema with a running command bus.
struct TallyScene {
    let database: PostgresConfiguration
    let bus: CommandBus

    enum Kept: Sendable, CaseIterable {
        case asTable, asTableWithoutLocks, asStream

        var repository: any Repository {
            switch self {
            case .asTable: TallyTable()
            case .asTableWithoutLocks: TallyTable(locks: false)
            case .asStream: EventStreamRepository<TallyDecider>(snapshots: .every(5))
            }
        }
    }

    static func bus(
        _ database: PostgresConfiguration, _ kept: Kept = .asTable,
        _ configure: (inout CommandBusConfiguration) -> Void = { _ in }
    ) throws -> CommandBus {
        var configuration = CommandBusConfiguration()
        configuration.connections = 2
        configuration.timeoutMs = 120_000
        configuration.maxAttempts = 100
        configuration.logLevel = .debug
        configure(&configuration)
        return try CommandBus(
            configuration, postgres: database, commands: [Add.self, Move.self], handlers: TallyCommands.handlers,
            repositories: [kept.repository], logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    static func with(
        _ kept: Kept = .asTable, _ configure: (inout CommandBusConfiguration) -> Void = { _ in },
        _ body: (TallyScene) async throws -> Void
    ) async throws {
        try await TestDatabase.withSchema(migrating: ["outbox", "commands"]) { database in
            let connection = try await PostgresConnection.connect(database)
            try await connection.execute(script: TallyTable.schema)
            await connection.close()
            let bus = try bus(database, kept, configure)
            try await running(bus) { try await body(TallyScene(database: database, bus: bus)) }
        }
    }

    /// Runs a bus while `body` runs.
    static func running(_ bus: CommandBus, _ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await bus.run() }
            defer { bus.stop() }
            try await body()
        }
    }

    /// The single value of a query's result.
    func number(_ sql: String) async throws -> Int64 {
        let connection = try await PostgresConnection.connect(database)
        let value = try await connection.execute(.unprepared(sql)).int64(0, 0)
        await connection.close()
        return value
    }

    /// The number of outbox rows whose sequences do not follow the order of the rows.
    func disorder() async throws -> Int64 {
        try await number(
            """
            SELECT count(*) FROM (
                SELECT sequence, row_number() OVER (PARTITION BY aggregate_id ORDER BY id) AS place FROM outbox) AS o
            WHERE sequence <> place
            """)
    }

    static func key(_ name: String, _ content: String = "") -> IdempotencyKey {
        IdempotencyKey(scope: "test", key: name, request: [Array(content.utf8)])
    }
}

extension CommandOutcome {
    /// The body of an accepted command's answer as text.
    var text: String? {
        guard case .accepted(let result) = verdict else { return nil }
        return String(decoding: result.body, as: UTF8.self)
    }

    var version: Int64? {
        guard case .accepted(let result) = verdict else { return nil }
        return result.version
    }

    var rule: String? {
        guard case .refused(let refusal) = verdict else { return nil }
        return refusal.rule
    }
}

public import EmbeddedPostgres
public import Migrations
public import Postgres

/// PostgreSQL for tests: one private server a test process, or the one that `DATABASE_URL` names. Every test has a
/// schema of its own.
public enum TestDatabase {
    /// Runs `body` with a configuration whose schema is new and has only the migration sets named, and drops that
    /// schema afterwards.
    public static func withSchema<Result>(
        migrating sets: [String] = [], of catalog: MigrationCatalog = .embedded,
        _ body: (PostgresConfiguration) async throws -> Result
    ) async throws -> Result {
        try await TestSlots.hold { try await inNewSchema(migrating: sets, catalog, body) }
    }

    private static func inNewSchema<Result>(
        migrating sets: [String], _ catalog: MigrationCatalog, _ body: (PostgresConfiguration) async throws -> Result
    ) async throws -> Result {
        var configuration = try await SharedServer.shared.configuration()
        let schema = "test_" + String(UInt64.random(in: .min ... .max), radix: 36)
        configuration.schema = schema
        let administrator = try await PostgresConnection.connect(configuration)
        try await administrator.execute(script: "CREATE SCHEMA \(schema)")
        let result: Result
        do {
            if !sets.isEmpty { try await Migrator(configuration, catalog: catalog).up(sets) }
            result = try await body(configuration)
        } catch {
            try? await drop(schema, administrator)
            throw error
        }
        try await drop(schema, administrator)
        return result
    }

    private static func drop(_ schema: String, _ administrator: PostgresConnection) async throws {
        try await administrator.execute(script: "DROP SCHEMA \(schema) CASCADE")
        await administrator.close()
    }

    /// Runs `body` with a server of its own, for tests that stop and restart it.
    public static func withPrivateServer<Result>(
        settings: [String: String] = PostgresServerConfiguration.withoutDurability,
        tcp: PostgresServerConfiguration.TCP = .none,
        _ body: (PostgresServer, PostgresConfiguration) async throws -> Result
    ) async throws -> Result {
        try await TestSlots.hold { try await onNewServer(settings, tcp, body) }
    }

    private static func onNewServer<Result>(
        _ settings: [String: String], _ tcp: PostgresServerConfiguration.TCP,
        _ body: (PostgresServer, PostgresConfiguration) async throws -> Result
    ) async throws -> Result {
        let server = try await PostgresServer.start(
            PostgresServerConfiguration(folder: temporaryFolder(), settings: settings, tcp: tcp, isTemporary: true))
        let result: Result
        do {
            result = try await body(server, PostgresConfiguration(url: server.url))
        } catch {
            await server.stop(.immediate)
            throw error
        }
        await server.stop(.immediate)
        return result
    }

    fileprivate static func temporaryFolder() -> String {
        "/tmp/millrace-test-" + String(UInt64.random(in: .min ... .max), radix: 36)
    }
}

/// The server that all tests of this process share. It ends with the process, and its folder with it.
private actor SharedServer {
    static let shared = SharedServer()
    private var starting: Task<PostgresServer, any Error>?

    func configuration() async throws -> PostgresConfiguration {
        if let url = Environment.databaseURL { return try PostgresConfiguration(url: url) }
        let task =
            starting
            ?? Task {
                try await PostgresServer.start(
                    PostgresServerConfiguration(
                        folder: TestDatabase.temporaryFolder(),
                        settings: PostgresServerConfiguration.withoutDurability, isTemporary: true))
            }
        starting = task
        return try PostgresConfiguration(url: await task.value.url)
    }
}

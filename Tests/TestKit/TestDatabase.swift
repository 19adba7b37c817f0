public import EmbeddedPostgres
public import Migrations
public import Postgres

/// PostgreSQL for tests: one private server for each test process, or the server of `DATABASE_URL`. Every test has its
/// own schema.
public enum TestDatabase {
    /// A statement that takes longer than this hangs. The default of the daemons would fail on a busy machine.
    private static let statementTimeoutMs = Int(DeadlinePassed.limit.components.seconds) * 1_000

    /// Runs `body` with a configuration whose schema is new and contains only the given migration sets. The first
    /// version of each read model comes first in the search path. Afterwards it drops the schema and the schemas of the
    /// read models' versions, whose names begin with its name.
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
        configuration.statementTimeoutMs = statementTimeoutMs
        let administrator = try await PostgresConnection.connect(configuration)
        try await administrator.execute(script: "CREATE SCHEMA \(schema)")
        let result: Result
        do {
            if !sets.isEmpty { try await Migrator(configuration, catalog: catalog).up(sets) }
            configuration.searchedFirst = ["order-summary", "dashboard"].filter(sets.contains).map {
                "\(schema)_\($0.replacing("-", with: "_"))_v1"
            }
            result = try await body(configuration)
        } catch {
            try? await drop(schema, administrator)
            throw error
        }
        try await drop(schema, administrator)
        return result
    }

    private static func drop(_ schema: String, _ administrator: PostgresConnection) async throws {
        try await administrator.execute(
            script: """
                DO $$
                DECLARE
                    name text;
                BEGIN
                    FOR name IN SELECT nspname FROM pg_namespace WHERE starts_with(nspname, '\(schema)_') LOOP
                        EXECUTE format('DROP SCHEMA %I CASCADE', name);
                    END LOOP;
                    DROP SCHEMA \(schema) CASCADE;
                END
                $$
                """)
        await administrator.close()
    }

    /// Runs `body` with a private server, for tests that stop and restart it.
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
            var configuration = try PostgresConfiguration(url: server.url)
            configuration.statementTimeoutMs = statementTimeoutMs
            result = try await body(server, configuration)
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

/// The server that all tests of this process share. It ends with the process, and its folder is removed.
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

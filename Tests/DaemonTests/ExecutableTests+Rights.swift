import Postgres
import TestKit
import Testing

/// What daemons say about the privileges of their database user.
extension ExecutableTests {
    @Test(arguments: [
        ("order-summary-projection", ["projections", "order-summary"]),
        ("dashboard-projection", ["projections", "dashboard"]),
        ("dead-letter-handler", ["projections", "dead-letters"]),
        ("sql-projection", ["projections", "sql-projections"]),
    ])
    func aUserThatDoesNotOwnTheTables(_ name: String, _ sets: [String]) async throws {
        let role = "millrace_test_\(UInt32.random(in: 0 ... .max))"
        try await withDatabase(migrating: sets) { database, connection in
            let tables = try await connection.execute(
                "SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = 'processed_events'::regclass")
            let schema = try tables.string(0, 0)
            try await connection.execute(
                script: """
                    CREATE ROLE \(role);
                    GRANT USAGE ON SCHEMA \(schema) TO \(role);
                    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA \(schema) TO \(role)
                    """)
            let daemon = try Executable(
                name, ["--check=online"] + away + database + ["--set", "postgres.settings.role=\(role)"])
            _ = try await daemon.exitCode()
            try await connection.execute(script: "DROP OWNED BY \(role); DROP ROLE \(role)")
            #expect(
                daemon.errors.contains("note: the database user \(role) cannot create partitions of processed_events"),
                "\(daemon.errors)")
        }
    }
}

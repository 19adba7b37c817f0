import Postgres
import TestKit
import Testing

/// Tests what daemons report about the privileges of their database user.
extension ExecutableTests {
    /// If a user lacks the right USAGE on a schema, PostgreSQL reports that its tables do not exist.
    @Test(arguments: [("outbox-relay", ["outbox"]), ("order-summary-projection", ["projections", "order-summary"])])
    func aUserThatMayNotUseTheSchema(_ name: String, _ sets: [String]) async throws {
        let role = "millrace_test_\(UInt32.random(in: 0 ... .max))"
        try await withDatabase(migrating: sets) { database, connection in
            try await connection.execute(script: "CREATE ROLE \(role)")
            let settings = away + database + ["--set", "postgres.settings.role=\(role)"]
            let daemon = try Executable(name, settings)
            let code = try await daemon.exitCode()
            let check = try Executable(name, ["--check=online"] + settings)
            let checked = try await check.exitCode()
            try await connection.execute(script: "DROP ROLE \(role)")
            #expect(code == 78 && checked == 78, "\(code) \(checked)")
            // The log escapes quotation marks.
            for errors in [daemon.errors, check.errors].map({ $0.replacing("\\\"", with: "\"") }) {
                #expect(errors.contains("the database user \(role) lacks the right USAGE on schema "), "\(errors)")
                #expect(errors.contains("GRANT USAGE ON SCHEMA ") && errors.contains(" TO \"\(role)\""), "\(errors)")
                #expect(!errors.contains("migrate up"), "\(errors)")
            }
        }
    }

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

import Postgres
import StreamCore
import TestKit
import Testing

/// Servers that accept no writes: standbys, and servers that are configured to be read-only.
@Suite struct ReadOnlyServerTests {
    private func turn(readOnly: Bool, _ connection: PostgresConnection) async throws {
        let value = readOnly ? "on" : "off"
        try await connection.execute(.unprepared("ALTER SYSTEM SET default_transaction_read_only = \(value)"))
        try await connection.execute(.unprepared("SELECT pg_reload_conf()"))
    }

    @Test func aSessionThatHasToWriteEndsWhenItsServerTakesNoWrites() async throws {
        try await TestDatabase.withPrivateServer { _, configuration in
            var reading = configuration
            reading.access = .any
            let administrator = try await PostgresConnection.connect(reading)
            let writer = try await PostgresConnection.connect(configuration)
            try await writer.execute(script: "CREATE TABLE numbers (number int)")
            try await turn(readOnly: true, administrator)
            var failure: PostgresError?
            try await eventually {
                do throws(PostgresError) {
                    try await writer.execute("INSERT INTO numbers VALUES (1)")
                } catch {
                    failure = error
                }
                return failure != nil
            }
            #expect(failure?.sqlState == .readOnlyTransaction)
            #expect(failure?.kind == .transient && failure?.endsConnection == true)
            #expect(await !writer.isOpen)
            let refused = try await #require(throws: PostgresError.self) {
                try await PostgresConnection.connect(configuration)
            }
            #expect(refused.sqlState == .readOnlyTransaction && refused.kind == .transient, "\(refused)")
            // A session that only reads is accepted, and stays open when a write fails.
            let reader = try await PostgresConnection.connect(reading)
            _ = try await #require(throws: PostgresError.self) {
                try await reader.execute("INSERT INTO numbers VALUES (1)")
            }
            #expect(try await reader.execute("SELECT 1::bigint").int64(0, 0) == 1)
            try await turn(readOnly: false, administrator)
            try await eventually { (try? await PostgresConnection.connect(configuration)) != nil }
        }
    }

    /// A session that is read-only by its own setting may use any server.
    @Test func aSessionThatReadsBySettingTakesAnyServer() async throws {
        try await TestDatabase.withSchema { configuration in
            var reading = configuration
            reading.settings["default_transaction_read_only"] = "on"
            let connection = try await PostgresConnection.connect(reading)
            #expect(try await connection.execute("SHOW transaction_read_only").string(0, 0) == "on")
            await connection.close()
        }
    }
}

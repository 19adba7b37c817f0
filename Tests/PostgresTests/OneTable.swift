import Postgres
import TestKit
import Testing

// Shared by the tests of transactions: a table `t` of numbers, and checks of its content.

struct Failure: Error {}

func withTable(_ body: (PostgresConnection, PostgresConfiguration) async throws -> Void) async throws {
    try await TestDatabase.withSchema { configuration in
        let connection = try await PostgresConnection.connect(configuration)
        try await connection.execute(script: "CREATE TABLE t (a int PRIMARY KEY)")
        try await body(connection, configuration)
        await connection.close()
    }
}

/// Expects this number of rows in the table, as `connection` sees it.
func expectRows(
    _ rows: Int64, in connection: PostgresConnection, _ location: SourceLocation = #_sourceLocation
) async throws {
    let count = try await connection.execute("SELECT count(*) FROM t").int64(0, 0)
    #expect(count == rows, sourceLocation: location)
}

/// Runs a transaction that sleeps at the server, and cancels its task during the sleep. Expects a rollback and an
/// unchanged session.
func expectRollbackWhenCancelled(
    _ body: @escaping @Sendable (PostgresTransaction) async throws -> Void
) async throws {
    try await withTable { connection, configuration in
        let observer = try await PostgresConnection.connect(configuration)
        let process = await connection.serverProcessID
        let task = Task { try await connection.withTransaction { try await body($0) } }
        try await observer.waitUntil(
            "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'", process)
        task.cancel()
        let outcome = await task.result
        let error = #expect(throws: PostgresError.self) { try outcome.get() }
        #expect(error?.code == .cancelled)
        try await expectRows(0, in: connection)
        #expect(await connection.serverProcessID == process)
        await observer.close()
    }
}

extension Result where Failure == any Error {
    init(_ body: () async throws -> Success) async {
        do {
            self = .success(try await body())
        } catch {
            self = .failure(error)
        }
    }
}

import Postgres
import TestKit
import Testing

// What the tests of transactions share: a table `t` of numbers, and what is in it.

struct Failure: Error {}

func withTable(_ body: (PostgresConnection, PostgresConfiguration) async throws -> Void) async throws {
    try await TestDatabase.withSchema { configuration in
        let connection = try await PostgresConnection.connect(configuration)
        try await connection.execute(script: "CREATE TABLE t (a int PRIMARY KEY)")
        try await body(connection, configuration)
        await connection.close()
    }
}

/// Expects so many rows in the table, as `connection` sees it.
func expectRows(
    _ rows: Int64, in connection: PostgresConnection, _ location: SourceLocation = #_sourceLocation
) async throws {
    let count = try await connection.execute("SELECT count(*) FROM t").int64(0, 0)
    #expect(count == rows, sourceLocation: location)
}

/// Runs a transaction that comes to sleep at the server, cancels its task there, and expects a rollback and the same
/// session.
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

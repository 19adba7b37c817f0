import Postgres
import StreamCore
import Synchronization
import TestKit
import Testing

@Suite struct PoolTests {
    private func limits(max: Int, acquireTimeoutMs: Int = 60_000) -> PostgresPool.Limits {
        var limits = PostgresPool.Limits()
        limits.maxConnections = max
        limits.acquireTimeoutMs = acquireTimeoutMs
        return limits
    }

    @Test func manyTasksShareFewConnections() async throws {
        try await TestDatabase.withSchema { configuration in
            let pool = PostgresPool(configuration, limits: limits(max: 3))
            let sessions = try await withThrowingTaskGroup(of: Int32.self) { group in
                for _ in 0..<50 {
                    group.addTask {
                        try await pool.withConnection { try await $0.execute("SELECT pg_backend_pid()").int32(0, 0) }
                    }
                }
                return try await group.reduce(into: Set()) { $0.insert($1) }
            }
            #expect((1...3).contains(sessions.count))
            await pool.close()
        }
    }

    @Test func waitingEndsAtItsTimeoutAndWithItsTask() async throws {
        try await TestDatabase.withSchema { configuration in
            let pool = PostgresPool(configuration, limits: limits(max: 1, acquireTimeoutMs: 2_000))
            let patient = PostgresPool(configuration, limits: limits(max: 1))
            try await pool.withConnection { _ in
                let error = await #expect(throws: PostgresError.self) { try await pool.withConnection { _ in } }
                #expect(error?.code == .poolTimeout && error?.kind == .transient)
            }
            try await patient.withConnection { _ in
                let waiter = Task { try await patient.withConnection { _ in } }
                waiter.cancel()
                let outcome = await waiter.result
                let error = #expect(throws: PostgresError.self) { try outcome.get() }
                #expect(error?.code == .cancelled)
            }
            // Those who left are not handed anything.
            try await pool.withConnection { try await $0.execute("SELECT 1") }
            try await patient.withConnection { try await $0.execute("SELECT 1") }
            await pool.close()
            await patient.close()
        }
    }

    @Test func aConnectionLeftInATransactionComesBackClean() async throws {
        try await TestDatabase.withSchema { configuration in
            let pool = PostgresPool(configuration, limits: limits(max: 1))
            let first = try await pool.withConnection { connection in
                try await connection.execute(script: "CREATE TABLE t (); BEGIN; CREATE TABLE u ()")
                return await connection.serverProcessID
            }
            try await pool.withConnection { connection in
                let found = try await connection.execute("SELECT to_regclass('u') IS NULL, pg_backend_pid()")
                #expect(try found.bool(0, 0) && found.int32(0, 1) == first)
            }
            await pool.close()
        }
    }

    @Test func aConnectionThatTheServerEndedIsReplaced() async throws {
        try await TestDatabase.withSchema { configuration in
            let pool = PostgresPool(configuration, limits: limits(max: 1))
            let killer = try await PostgresConnection.connect(configuration)
            let first = try await pool.withConnection { await $0.serverProcessID }
            try await killer.terminate(first)
            let second = try await pool.withConnection { try await $0.execute("SELECT pg_backend_pid()").int32(0, 0) }
            #expect(second != first)
            await #expect(throws: PostgresError.self) {
                try await pool.withConnection { connection in
                    try await killer.terminate(second)
                    try await connection.execute("SELECT 1")
                }
            }
            try await pool.withTransaction { try await $0.execute("SELECT 1") }
            await killer.close()
            await pool.close()
        }
    }

    @Test func aClosedPoolRefuses() async throws {
        try await TestDatabase.withSchema { configuration in
            let pool = PostgresPool(configuration, limits: limits(max: 1))
            try await pool.withConnection { connection in
                async let waiting = Result { try await pool.withConnection { _ in } }
                await pool.close()
                let outcome = await waiting
                let error = #expect(throws: PostgresError.self) { try outcome.get() }
                #expect(error?.code == .poolClosed)
                try await connection.execute("SELECT 1")
            }
            let error = await #expect(throws: PostgresError.self) { try await pool.withConnection { _ in } }
            #expect(error?.code == .poolClosed)
        }
    }

    @Test func aFailureToConnectLeavesRoomForTheNext() async throws {
        let nowhere = PostgresConfiguration(host: "127.0.0.1", port: 1, user: "nobody", database: "none")
        let pool = PostgresPool(nowhere, limits: limits(max: 1))
        for _ in 0..<3 {
            let error = await #expect(throws: PostgresError.self) { try await pool.withConnection { _ in } }
            #expect(error?.code == .cannotConnect)
        }
    }
}

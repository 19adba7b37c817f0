import Postgres
import Synchronization
import TestKit
import Testing

@testable import OrderQueries

/// Tests what the pool does with reads when the server ends its connection.
@Suite struct LostConnectionTests {
    /// A pool with one connection. Its reads wait for a lock that the test holds.
    private struct Scene {
        let pool: ReadPool
        private let administrator: PostgresConnection
        private let application: String
        private let lastActivity: LastActivity

        static func with(_ body: (Scene) async throws -> Void) async throws {
            try await TestDatabase.withSchema { postgres in
                var readers = postgres
                readers.applicationName = "reads-\(postgres.schema)"
                readers.lockTimeoutMs = readers.statementTimeoutMs
                var limits = ReadPoolConfiguration()
                limits.connections = 1
                limits.statementTimeoutMs = readers.statementTimeoutMs
                limits.queueTimeoutMs = readers.statementTimeoutMs
                let pool = ReadPool(readers, limits, logger: .silent)
                let lastActivity = LastActivity()
                try await PostgresConnection.with(postgres) { administrator in
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        group.addTask { await pool.run(onWork: { _, activity in lastActivity.set(activity) }) }
                        defer { group.cancelAll() }
                        let scene = Scene(
                            pool: pool, administrator: administrator, application: readers.applicationName,
                            lastActivity: lastActivity)
                        try await administrator.execute(.unprepared("SELECT pg_advisory_lock(\(scene.key))"))
                        try await body(scene)
                    }
                }
            }
        }

        private var key: String { "hashtextextended('\(application)', 0)" }

        func releaseLock() async throws {
            try await administrator.execute(.unprepared("SELECT pg_advisory_unlock(\(key))"))
        }

        /// Runs a read that waits for the lock.
        func read(_ kind: ReadPool.Kind) async -> ReadError? {
            let statement = Statement.unprepared("SELECT pg_advisory_xact_lock_shared(\(key))")
            do throws(ReadError) {
                _ = try await pool.read(statement, Parameters(), kind)
                return nil
            } catch {
                return error
            }
        }

        func waitUntilReading() async throws {
            try await eventually { try await session(Self.isReading) != nil }
        }

        /// Waits until the pool reports that its connection has no reads.
        func waitUntilIdle() async throws {
            lastActivity.set(.moving)
            try await eventually { lastActivity.isIdle }
        }

        /// Ends the session of a connection that waits for reads.
        func endIdleSession() async throws { try await endSession("state = 'idle'") }

        /// Ends the session of a connection that runs a read.
        func endReadingSession() async throws { try await endSession(Self.isReading) }

        private static let isReading = "wait_event_type = 'Lock'"

        /// Waits for a session in this state, ends it, and waits until it is gone.
        private func endSession(_ state: String) async throws {
            var found: Int32?
            try await eventually {
                found = try await session(state)
                return found != nil
            }
            let process = try #require(found)
            try await administrator.execute(.unprepared("SELECT pg_terminate_backend(\(process))"))
            try await eventually { try await session("pid = \(process)") == nil }
        }

        /// The server process of the pool's session, if the condition holds for it.
        private func session(_ condition: String) async throws -> Int32? {
            let rows = try await administrator.execute(
                .unprepared(
                    "SELECT pid FROM pg_stat_activity WHERE application_name = '\(application)' AND \(condition)"))
            return rows.rowCount == 0 ? nil : try rows.int32(0, 0)
        }
    }

    private final class LastActivity: Sendable {
        private let activity = Mutex<QueryService.Activity>(.moving)
        var isIdle: Bool { activity.withLock { $0 == .idle } }
        func set(_ new: QueryService.Activity) { activity.withLock { $0 = new } }
    }

    /// A read that finds a closed connection is not run there. It is therefore still repeated if the next connection
    /// breaks while it runs.
    @Test(arguments: [ReadPool.Kind.quick, .search])
    func aReadIsNotRunOnAConnectionThatWasClosedWhileIdle(_ kind: ReadPool.Kind) async throws {
        try await Scene.with { scene in
            _ = try await scene.pool.read("SELECT 1", Parameters(), kind)
            try await scene.waitUntilIdle()
            try await scene.endIdleSession()
            async let read = scene.read(kind)
            try await scene.endReadingSession()
            try await scene.releaseLock()
            #expect(await read == nil)
        }
    }

    /// The first read loses two connections. The others share only the second one with it, or lose none.
    @Test(arguments: [ReadPool.Kind.quick, .search])
    func aReadWhoseConnectionBreaksIsRepeatedOnce(_ kind: ReadPool.Kind) async throws {
        try await Scene.with { scene in
            async let first = scene.read(kind)
            try await scene.waitUntilReading()
            async let second = scene.read(kind)
            async let third = scene.read(kind)
            try await scene.endReadingSession()
            try await scene.endReadingSession()
            guard case .unavailable = await first else {
                Issue.record("the read was not repeated exactly once")
                return
            }
            try await scene.releaseLock()
            #expect(await second == nil)
            #expect(await third == nil)
        }
    }
}

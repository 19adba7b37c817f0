import Postgres
import StreamCore
import TestKit
import Testing

@testable import OrderQueries

/// Tests waits for versions, with the projection's notifications and when notifications are lost.
@Suite struct NotifiedWaitTests {
    private struct Place {
        let writer: PostgresConnection
        let watcher: VersionWatcher
        let channel: String

        func write(_ orderID: String, version: Int, tell: Bool) async throws {
            try await writer.execute(
                """
                INSERT INTO order_summary_rows (order_id, version, updated_at, last_event_id)
                VALUES ($1, $2, now(), gen_random_uuid())
                """,
                Parameters {
                    $0.append(orderID)
                    $0.append(Int64(version))
                })
            if tell { try await notify() }
        }

        func notify() async throws {
            try await writer.execute("SELECT pg_notify($1, '')", Parameters { $0.append(channel) })
        }

        /// The version that a client gets who waits for `version`.
        func wait(_ orderID: String, version: Int64) async throws -> Int64? {
            let rows = try await watcher.wait(for: orderID, version: version, until: .now + .seconds(120))
            return try rows.map { try OrderJSON.version($0.result, $0.range.lowerBound) }
        }

        func waitUntilItHears() async throws {
            try await eventually {
                try await notify()
                return watcher.hearsNotifications
            }
        }

        /// Ends the listening session.
        func endListener() async throws {
            try await writer.execute(
                """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE query LIKE 'LISTEN%' || $1 || '%' AND pid <> pg_backend_pid()
                """,
                Parameters { $0.append(channel) })
        }
    }

    private func with(_ body: (Place) async throws -> Void) async throws {
        try await TestDatabase.withSchema(migrating: OrderScene.sets) { postgres in
            var readers = postgres
            readers.searchedFirst = []
            let writer = try await PostgresConnection.connect(postgres)
            let watcher = VersionWatcher(readers, maxWaiters: 100, notifyChannel: postgres.schema)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await watcher.run() }
                defer { group.cancelAll() }
                try await body(Place(writer: writer, watcher: watcher, channel: postgres.schema))
            }
            await writer.close()
        }
    }

    @Test func whoWaitsIsToldTheRow() async throws {
        try await with { place in
            try await place.waitUntilItHears()
            async let first = place.wait("a", version: 2)
            async let second = place.wait("a", version: 3)
            async let other = place.wait("b", version: 1)
            try await eventually { place.watcher.count == 3 }
            try await place.write("a", version: 3, tell: false)
            try await place.write("b", version: 7, tell: true)
            #expect(try await [first, second, other] == [3, 3, 7])
            #expect(place.watcher.count == 0)
        }
    }

    @Test func aVersionThatNobodyTellsOfIsFound() async throws {
        try await with { place in
            try await place.waitUntilItHears()
            async let silent = place.wait("a", version: 1)
            // The first look at a new client's order shows nothing about missing notifications.
            try await eventually { place.watcher.count == 1 }
            try await place.writer.execute("SELECT pg_sleep(0.1)")
            try await place.write("a", version: 1, tell: false)
            #expect(try await silent == 1)
            #expect(!place.watcher.hearsNotifications, "the watcher polls more often from now on")
        }
    }

    @Test func aLostListenerComesBack() async throws {
        try await with { place in
            try await place.waitUntilItHears()
            try await place.endListener()
            try await eventually { !place.watcher.hearsNotifications }
            async let meanwhile = place.wait("a", version: 1)
            try await place.write("a", version: 1, tell: true)
            #expect(try await meanwhile == 1)
            try await place.waitUntilItHears()
            async let after = place.wait("b", version: 1)
            try await place.write("b", version: 1, tell: true)
            #expect(try await after == 1)
        }
    }

    @Test func whoWaitsInVainIsToldNothing() async throws {
        try await with { place in
            let rows = try await place.watcher.wait(for: "a", version: 1, until: .now + .milliseconds(50))
            #expect(rows == nil)
        }
    }
}

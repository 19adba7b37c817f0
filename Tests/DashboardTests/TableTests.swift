import Events
import Orders
import Postgres
import StreamCore
import TestKit
import Testing

@testable import Dashboard

/// The same tests as for the fold, but in PostgreSQL. The expected values come from SQL on the write model.
@Suite struct TableTests {
    /// All events of a shop are written in random order, with duplicates, in batches of random sizes, in one or many
    /// parts.
    @Test(arguments: 0..<UInt64(3)) func anyBatchingGivesWhatTheWriteModelSays(_ seed: UInt64) async throws {
        try await withShop(orders: 250) { database, connection, events in
            var random = SplitMix64(seed: seed)
            let writer = DashboardWriter(partSize: Int(seed) * 15 + 10)
            let told = events.shuffledWithDuplicates(using: &random)
            for batch in told.splitAtRandom(largest: 200, using: &random) {
                try await write(batch, writer, connection)
            }
            try await Shop.expectEqual(database)
            // One process uses only one lane.
            #expect(try await lanes(connection) == [0])
        }
    }

    /// Three owners write at the same time. They share orders, products, customers and days. A deadlock would be an
    /// error.
    @Test(arguments: 0..<UInt64(3)) func concurrentOwnersGiveTheSame(_ seed: UInt64) async throws {
        try await withShop(orders: 250) { database, connection, events in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for owner in 0..<UInt64(3) {
                    group.addTask {
                        var random = SplitMix64(seed: seed * 3 + owner)
                        // Splits the events by payment, shipment or order, like the partitions of topics. Some events
                        // have further owners.
                        let own = events.filter { event in
                            UInt64(event.identity.aggregateID.utf8.reduce(0) { $0 &+ Int($1) } % 3) == owner
                                || Int.random(in: 0..<10, using: &random) == 0
                        }
                        let connection = try await PostgresConnection.connect(database)
                        let batches = own.shuffled(using: &random).splitAtRandom(largest: 60, using: &random)
                        for batch in batches { try await write(batch, DashboardWriter(partSize: 9), connection) }
                        await connection.close()
                    }
                }
                try await group.waitForAll()
            }
            try await Shop.expectEqual(database)
            #expect(try await lanes(connection).allSatisfy { $0 < 3 })
        }
    }

    /// Several owners of one aggregate write at the same time, as after partitions were added or when letters are
    /// retried. The numbers are those of all events in one transaction.
    @Test(arguments: 0..<UInt64(4)) func ownersOfOneAggregateLoseNothing(_ seed: UInt64) async throws {
        var orders = RandomOrders(seed: seed)
        let events = (0..<25).flatMap { orders.events(of: "order-\($0)") }
        let expected = try await TestDatabase.withSchema(migrating: ["projections", "dashboard"]) { database in
            let connection = try await PostgresConnection.connect(database)
            try await write(events, DashboardWriter(), connection)
            let numbers = try await numbers(connection)
            await connection.close()
            return numbers
        }
        #expect(expected.count > 100)
        try await TestDatabase.withSchema(migrating: ["projections", "dashboard"]) { database in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for owner in 0..<3 {
                    // Each event has one or more owners, whatever its aggregate.
                    var own = events.enumerated().filter { $0.offset % 3 == owner || $0.offset % 7 == owner }
                        .map(\.element)
                    own.shuffle(using: &orders.random)
                    let batches = own.splitAtRandom(largest: 20, using: &orders.random)
                    group.addTask {
                        let connection = try await PostgresConnection.connect(database)
                        for batch in batches { try await write(batch, DashboardWriter(partSize: 6), connection) }
                        await connection.close()
                    }
                }
                try await group.waitForAll()
            }
            let connection = try await PostgresConnection.connect(database)
            #expect(try await numbers(connection) == expected)
            await connection.close()
        }
    }

    /// All rows of the views as text. Numbers have no trailing zeros.
    private func numbers(_ connection: PostgresConnection) async throws -> [String] {
        let views = ["counters", "statuses", "products", "customers", "durations"]
        let rows = views.map { view in
            """
            SELECT '\(view) ' || regexp_replace(
                regexp_replace(to_jsonb(v)::text, '(\\.[0-9]*?)0+(?![0-9])', '\\1', 'g'), '\\.(?![0-9])', '', 'g') AS row FROM dashboard_\(view) AS v
            """
        }
        let result = try await connection.execute(
            Statement(rows.joined(separator: " UNION ALL ") + " ORDER BY row"))
        return try (0..<result.rowCount).map { try result.string($0, 0) }
    }

    /// No transaction waits for another one that counts in the same buckets, products and customers.
    @Test func aHotDayHoldsNobodyUp() async throws {
        try await TestDatabase.withSchema(migrating: ["projections", "dashboard"]) { database in
            var orders = RandomOrders(seed: 5)
            let connection = try await PostgresConnection.connect(database)
            let other = try await PostgresConnection.connect(database)
            let (first, second) = (orders.events(of: "order-1"), orders.events(of: "order-2"))
            try await connection.withTransaction { transaction in
                try await DashboardWriter().write(OrderFactsFold(first).changes, in: transaction)
                // A wait for a row that the open transaction has changed would never end, so this timeout makes it
                // fail.
                try await other.execute(script: "SET lock_timeout = '5s'")
                try await other.withTransaction { transaction in
                    try await DashboardWriter().write(OrderFactsFold(second).changes, in: transaction)
                }
            }
            #expect(try await lanes(connection) == [0, 1])
            let count = try await connection.execute("SELECT sum(orders)::bigint FROM dashboard_statuses")
            #expect(try count.int64(0, 0) == 2)
            await other.close()
            await connection.close()
        }
    }

    @Test func whatIsKnownIsNotWrittenAgain() async throws {
        try await TestDatabase.withSchema(migrating: ["projections", "dashboard"]) { database in
            var orders = RandomOrders(seed: 7)
            let events = (0..<10).flatMap { orders.events(of: "order-\($0)") }
            let connection = try await PostgresConnection.connect(database)
            try await write(events, DashboardWriter(), connection)
            let versions: Statement = "SELECT string_agg(xmin::text, ',' ORDER BY order_id) FROM dashboard_order_rows"
            let before = try await connection.execute(versions).string(0, 0)
            try await write(events.reversed(), DashboardWriter(), connection)
            #expect(try await connection.execute(versions).string(0, 0) == before)
            await connection.close()
        }
    }

    @Test func survivesASchemaMadeAnew() async throws {
        let writer = DashboardWriter()
        var orders = RandomOrders(seed: 1)
        let events = orders.events(of: "order-1")
        for _ in 0..<2 {
            try await TestDatabase.withSchema(migrating: ["projections", "dashboard"]) { database in
                let connection = try await PostgresConnection.connect(database)
                try? await write(events, writer, connection)
                try await write(events, writer, connection)
                let count = try await connection.execute("SELECT sum(orders)::bigint FROM dashboard_statuses")
                #expect(try count.int64(0, 0) == 1)
                await connection.close()
            }
        }
    }

    private func withShop(
        orders: Int, _ body: (PostgresConfiguration, PostgresConnection, [OrderEvent]) async throws -> Void
    ) async throws {
        try await TestDatabase.withSchema(migrating: Shop.sets) { database in
            let connection = try await PostgresConnection.connect(database)
            try await Shop.play(orders: orders, in: database, connection)
            try await body(database, connection, Shop.events(connection))
            await connection.close()
        }
    }

    private func lanes(_ connection: PostgresConnection) async throws -> [Int32] {
        let result = try await connection.execute(
            "SELECT DISTINCT lane FROM dashboard_counter_rows ORDER BY lane")
        return try (0..<result.rowCount).map { try result.int32($0, 0) }
    }
}

/// Writes a batch in its own transaction, and repeats it where the runner would.
func write(_ batch: [OrderEvent], _ writer: DashboardWriter, _ connection: PostgresConnection) async throws {
    while true {
        do {
            return try await connection.withTransaction { transaction in
                try await writer.write(OrderFactsFold(batch).changes, in: transaction)
            }
        } catch let error as PostgresError where error.sqlState == .lockNotAvailable {
            // Another transaction has just created the row of an order that was new to both.
        }
    }
}

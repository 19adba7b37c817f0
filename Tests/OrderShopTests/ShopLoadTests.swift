import EmbeddedPostgres
import Events
import Migrations
import OrderShop
import Orders
import Postgres
import StreamCore
import Synchronization
import TestKit
import Testing

@Suite struct ShopLoadTests {
    static func configuration(orders: Int, batch: Int = 1) -> ShopLoad.Configuration {
        var configuration = ShopLoad.Configuration()
        configuration.orders = orders
        configuration.ordersPerSecond = 0
        configuration.connections = 3
        configuration.ordersPerTransaction = batch
        configuration.customers = 200
        return configuration
    }

    @Test(arguments: [1, 16]) func playsEveryOrderToItsEnd(batch: Int) async throws {
        try await ShopDatabase.with { database in
            let commits = Mutex<[ShopLoad.Commit]>([])
            let load = ShopLoad(
                Self.configuration(orders: 150, batch: batch), database: database,
                onCommit: { commit in commits.withLock { $0.append(commit) } })
            let totals = try await load.run()
            let written = commits.withLock { $0 }
            #expect(totals.orders == 150)
            #expect(totals.finishedOrders == 150)
            #expect(totals.transactions == written.count)
            #expect(totals.events == written.reduce(0) { $0 + $1.events.count })

            let connection = try await PostgresConnection.connect(database)
            #expect(try await connection.execute("SELECT count(*) FROM orders").int64(0, 0) == 150)
            #expect(try await connection.execute("SELECT count(*) FROM outbox").int64(0, 0) == Int64(totals.events))
            await connection.close()
        }
    }

    @Test func theOutboxHoldsEachAggregatesEventsInOrderWithoutGaps() async throws {
        try await ShopDatabase.with { database in
            try await ShopLoad(Self.configuration(orders: 200, batch: 8), database: database).run()
            let connection = try await PostgresConnection.connect(database)
            let disordered = try await connection.execute(
                """
                SELECT count(*) FROM (
                    SELECT sequence, row_number() OVER (PARTITION BY aggregate_type, aggregate_id ORDER BY id) AS place
                    FROM outbox) AS o
                WHERE sequence <> place
                """)
            #expect(try disordered.int64(0, 0) == 0)
            let behind = try await connection.execute(
                """
                SELECT count(*) FROM orders AS o
                WHERE version <> (SELECT max(sequence) FROM outbox
                                  WHERE aggregate_type = 'Order' AND aggregate_id = o.order_id)
                    OR total_amount <> (SELECT sum(quantity * unit_price) FROM order_items AS i
                                        WHERE i.order_id = o.order_id)
                """)
            #expect(try behind.int64(0, 0) == 0)
            await connection.close()
        }
    }

    /// The shop writes events of the domain. The outbox contains exactly the bytes of their encoder.
    @Test func theOutboxHoldsWhatTheDecoderReads() async throws {
        try await ShopDatabase.with { database in
            let commits = Mutex<[OrderEvent]>([])
            let load = ShopLoad(
                Self.configuration(orders: 60), database: database,
                onCommit: { commit in commits.withLock { $0 += commit.events } })
            try await load.run()
            let written = commits.withLock { $0 }
            for event in written {
                #expect(try OrderEventDecoder.decode(EventEncoder.envelope(event).span) == .event(event))
            }
            let connection = try await PostgresConnection.connect(database)
            let rows = try await connection.execute(
                "SELECT event_id::text, event_type, version, payload::text, metadata::text FROM outbox")
            let expected = Dictionary(uniqueKeysWithValues: written.map { ($0.identity.eventID.description, $0) })
            #expect(rows.rowCount == written.count && !written.isEmpty)
            for row in 0..<rows.rowCount {
                let event = try #require(expected[try rows.string(row, 0)])
                #expect(try rows.string(row, 1) == event.type.rawValue)
                #expect(Int(try rows.int32(row, 2)) == event.type.currentVersion)
                #expect(
                    try rows.string(row, 3) == String(decoding: EventEncoder.payload(event.payload), as: UTF8.self))
                #expect(try rows.string(row, 4).contains(event.metadata.userID ?? "nobody"))
            }
            await connection.close()
        }
    }

    @Test func aServerThatCrashesCostsNoEventAndNoOrder() async throws {
        try await TestDatabase.withPrivateServer(settings: ["max_connections": "20"]) { server, database in
            try await Migrator(database).up(["outbox", "orders"])
            var configuration = Self.configuration(orders: 400)
            configuration.customers = 50
            let commits = Mutex(0)
            let load = ShopLoad(
                configuration, database: database,
                onCommit: { commit in commits.withLock { $0 += commit.events.count } })
            async let finished = load.run()
            for crash in 1...2 {
                try await eventually { load.totals.transactions > crash * 300 }
                try await server.restart(.immediate)
            }
            let totals = try await finished
            #expect(totals.finishedOrders == 400)
            #expect(totals.events == commits.withLock { $0 })

            let connection = try await PostgresConnection.connect(database)
            let outbox = try await connection.execute("SELECT count(*), count(DISTINCT event_id) FROM outbox")
            #expect(try outbox.int64(0, 0) == Int64(totals.events))
            #expect(try outbox.int64(0, 1) == Int64(totals.events))
            await connection.close()
        }
    }
}

import Events
import Migrations
import OrderSummary
import OrderSummaryKit
import Orders
import Postgres
import StreamCore
import TestKit
import Testing

/// The migrations turn rows that older programs wrote into facts by aggregate.
@Suite struct FactsMigrationTests {
    private func migrate(_ set: String, _ number: Int, _ connection: PostgresConnection) async throws {
        let migrations = try MigrationCatalog.embedded.migrations(of: set)
        let migration = try #require(migrations.first { $0.number == number })
        try await connection.execute(script: String(decoding: migration.sql, as: UTF8.self))
    }

    /// Moves the tables to the schema of the read model's first version, and puts that schema first in the search path.
    private func adopt(
        _ set: String, _ number: Int, _ database: PostgresConfiguration, _ connection: PostgresConnection
    ) async throws {
        for number in 1...9 { try await migrate("projections", number, connection) }
        try await migrate(set, number, connection)
        let version = "\(database.schema)_\(set.replacing("-", with: "_"))_v1"
        try await connection.execute(script: "SET search_path TO \(version), \(database.schema)")
    }

    @Test func rowsOfTheOrderSummaryKeepWhatTheySay() async throws {
        try await TestDatabase.withSchema(migrating: []) { database in
            let connection = try await PostgresConnection.connect(database)
            try await migrate("order-summary", 1, connection)
            try await connection.execute(script: Self.summaryRows)
            try await migrate("order-summary", 2, connection)
            try await migrate("order-summary", 3, connection)
            try await adopt("order-summary", 4, database, connection)
            let stored = try await OrderSummaryReader.rows(limit: 10, on: connection)
            #expect(stored.map(\.row.orderID) == ["bare", "partial", "whole"])
            #expect(stored.map(\.status) == ["incomplete", "partially_delivered", "delivered"])
            #expect(stored.map(\.paymentStatus) == ["pending", "partially_refunded", "refunded"])
            for row in stored {
                #expect(row.status == row.row.status.rawValue)
                #expect(row.paymentStatus == row.row.paymentStatus.rawValue)
                #expect(row.shipmentStatus == row.row.shipmentStatus.rawValue)
                #expect(row.isOpen == row.row.isOpen)
                #expect(row.shownEventIDs[2] == row.row.refunded?.eventID)
                #expect(row.confirmedAt == row.row.confirmedAt)
            }

            // New events are merged into the migrated rows: the parcel that was under way arrives.
            let delivery = OrderEvent(
                identity: EventIdentity(
                    eventID: EventID(high: 9, low: 9), eventType: "ShipmentDelivered", aggregateType: "Shipment",
                    aggregateID: "s2", sequence: 2, timestamp: Timestamp(microseconds: 1_777_777_777_000_000)),
                payload: .shipmentDelivered(ShipmentDelivered(orderID: "partial")))
            try await connection.withTransaction { transaction in
                try await OrderSummaryWriter().write(OrderSummaryFold([delivery]), in: transaction)
            }
            let after = try await OrderSummaryReader.rows(after: "bare", limit: 1, on: connection)
            #expect(after.map(\.status) == ["delivered"])
            await connection.close()
        }
    }

    private static let summaryRows = """
        INSERT INTO order_summary_v1 (order_id, version, updated_at, last_event_id, confirmed_at, created, paid,
            refunded, shipped, delivered)
        SELECT 'partial', 3, t, gen_random_uuid(), t,
            ROW(t, gen_random_uuid(), 'c', 'EUR', '{"name":"","street":"","city":"","postalCode":"","country":""}'
                )::order_summary_v1_created,
            ROW(t, gen_random_uuid(), 'p1', 10, 'EUR', 'card')::order_summary_v1_payment,
            ROW(t, gen_random_uuid(), 'p1', 4.00, 'EUR', 'damaged')::order_summary_v1_payment,
            ROW(t, gen_random_uuid(), 's2', 'DHL', 'T')::order_summary_v1_shipped,
            ROW(t - interval '1 hour', gen_random_uuid(), 's1')::order_summary_v1_delivered
        FROM (SELECT '2026-05-01T00:00:00Z'::timestamptz AS t) AS times
        UNION ALL
        SELECT 'whole', 3, t, gen_random_uuid(), t,
            ROW(t, gen_random_uuid(), 'c', 'EUR', '{"name":"","street":"","city":"","postalCode":"","country":""}'
                )::order_summary_v1_created,
            ROW(t, gen_random_uuid(), 'p1', 10, 'EUR', 'card')::order_summary_v1_payment,
            ROW(t, gen_random_uuid(), 'p1', 10.00, 'EUR', 'returned')::order_summary_v1_payment,
            ROW(t, gen_random_uuid(), 's2', 'DHL', 'T')::order_summary_v1_shipped,
            ROW(t + interval '1 hour', gen_random_uuid(), 's1')::order_summary_v1_delivered
        FROM (SELECT '2026-05-01T00:00:00Z'::timestamptz AS t) AS times
        UNION ALL
        SELECT 'bare', 0, now(), gen_random_uuid(), NULL, NULL, NULL, NULL, NULL, NULL;
        """

    @Test func theDashboardCountsItsStatusesAnew() async throws {
        try await TestDatabase.withSchema(migrating: []) { database in
            let connection = try await PostgresConnection.connect(database)
            try await migrate("dashboard", 1, connection)
            try await connection.execute(script: Self.dashboardRows)
            try await migrate("dashboard", 2, connection)
            try await adopt("dashboard", 3, database, connection)
            let rows = try await connection.execute("SELECT status, orders FROM dashboard_statuses ORDER BY status")
            let counts = try (0..<rows.rowCount).map { "\(try rows.string($0, 0)) \(try rows.int64($0, 1))" }
            #expect(counts == ["confirmed 1", "delivered 1", "paid 1", "partially_delivered 1"])
            let facts = try await connection.execute(
                "SELECT payments::jsonb #>> '{0,3,0,0}', shipments FROM dashboard_order_rows WHERE order_id = 'paid'")
            #expect(try facts.string(0, 0) == "0")
            #expect(facts.isNull(0, 1))
            await connection.close()
        }
    }

    private static let dashboardRows = """
        INSERT INTO dashboard_v1_orders (order_id, created_at, created_event_id, customer_id, currency, confirmed_at,
            shipped_at, shipped_event_id, shipped_id, delivered_at, delivered_event_id, delivered_id, payments)
        SELECT id, now(), gen_random_uuid(), 'c', 'EUR', now(), shipped, gen_random_uuid(), shipment, delivered,
            gen_random_uuid(), delivery, payments
        FROM (VALUES
            ('partly', now(), 's2', now() - interval '1 hour', 's1', NULL),
            ('wholly', now(), 's2', now() + interval '1 hour', 's1', NULL),
            ('paid', NULL, NULL, NULL, NULL, '[["p",[1,"00000000-0000-4000-8000-000000000001","10","EUR"],null,
                [2,"00000000-0000-4000-8000-000000000002","4","EUR"]]]'),
            ('returned', NULL, NULL, NULL, NULL, '[["p",[1,"00000000-0000-4000-8000-000000000001","10","EUR"],null,
                [2,"00000000-0000-4000-8000-000000000002","10.00","EUR"]]]')
            ) AS o (id, shipped, shipment, delivered, delivery, payments);
        INSERT INTO dashboard_v1_statuses VALUES ('shipped', 0, 1), ('delivered', 0, 1), ('confirmed', 1, 2);
        """
}

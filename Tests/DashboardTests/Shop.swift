import Events
import OrderShop
import Orders
import Postgres
import StreamCore
import Testing
import Verification

/// A simulated shop that has finished, and the events that it wrote.
enum Shop {
    struct Record: Sendable {
        let topic: String
        let key: String
        let value: [UInt8]
    }

    static let sets = ["outbox", "orders", "projections", "order-summary", "dashboard"]

    /// Runs the shop, and then stretches its time so that a second becomes about a day, in both the write model and the
    /// events.
    static func play(orders: Int, in database: PostgresConfiguration, _ connection: PostgresConnection) async throws {
        var configuration = ShopLoad.Configuration()
        configuration.orders = orders
        configuration.ordersPerSecond = 0
        configuration.connections = 3
        configuration.ordersPerTransaction = 8
        configuration.customers = 30
        try await ShopLoad(configuration, database: database).run()
        try await connection.execute(script: stretch)
    }

    /// Requires that each view has rows, and that they agree with the write model.
    static func expectEqual(
        _ database: PostgresConfiguration, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        // Kafka has no events here, so the verification compares only the tables.
        let verification = Verification(
            VerificationConfiguration(writeModel: database, readModel: database, kafka: nil))
        let views = try await verification.run().comparisons.filter { $0.name.hasPrefix("dashboard_") }
        #expect(views.count == 5, sourceLocation: sourceLocation)
        for view in views {
            #expect(view.checked > 0, "\(view.name) is empty", sourceLocation: sourceLocation)
            #expect(
                view.differing == 0 && view.undecided == nil, "\(view)", sourceLocation: sourceLocation)
        }
    }

    private static let stretch: String = {
        let columns = [
            "orders": ["created_at", "confirmed_at", "cancelled_at"],
            "payments": ["completed_at", "failed_at", "refunded_at"],
            "shipments": ["created_at", "delivered_at"],
            "outbox": ["occurred_at"],
        ]
        let anchor = "'2026-01-01T00:00:00Z'::timestamptz"
        let updates = columns.sorted { $0.key < $1.key }.map { table, columns in
            let sets = columns.map { "\($0) = \(anchor) + (\($0) - first) * 50000" }.joined(separator: ", ")
            return "UPDATE \(table) SET \(sets) FROM times;"
        }
        return "CREATE TEMPORARY TABLE times AS SELECT min(occurred_at) AS first FROM outbox;"
            + updates.joined() + "DROP TABLE times;"
    }()

    /// The outbox as the records that the relay would publish.
    static func records(_ connection: PostgresConnection) async throws -> [Record] {
        let rows = try await connection.execute(
            """
            SELECT lower(aggregate_type), aggregate_id, json_build_object(
                'eventId', event_id, 'eventType', event_type, 'aggregateId', aggregate_id,
                'aggregateType', aggregate_type, 'sequence', sequence,
                'timestamp', to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                'version', version, 'correlationId', correlation_id, 'metadata', metadata, 'payload', payload)::text
            FROM outbox ORDER BY id
            """)
        return try (0..<rows.rowCount).map { row in
            Record(
                topic: try rows.string(row, 0), key: try rows.string(row, 1),
                value: Array(try rows.string(row, 2).utf8))
        }
    }

    static func events(_ connection: PostgresConnection) async throws -> [OrderEvent] {
        try await records(connection).compactMap { record in
            guard case .event(let event) = try OrderEventDecoder.decode(record.value.span) else { return nil }
            return event
        }
    }
}

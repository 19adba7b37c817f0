import Events
import OrderShop
import OrderSummary
import Orders
import Postgres
import StreamCore
import TestKit
import Testing
import Verification
import WireJSON

/// Compares only tables: the write model's SQL with the folding and writing of the projection.
@Suite struct TableTests {
    static let sets = ["outbox", "orders", "projections", "order-summary"]

    /// Simulates a shop, and applies its outbox to the read model with the projection's own folding and writing.
    static func withShop(
        orders: Int, _ body: (PostgresConfiguration, PostgresConnection) async throws -> Void
    ) async throws {
        try await TestDatabase.withSchema(migrating: sets) { database in
            try await ShopLoad(Self.shop(orders: orders), database: database).run()
            let connection = try await PostgresConnection.connect(database)
            let events = try await Self.outbox(connection)
            // The order is random and some events come twice. The read model must not depend on that.
            try await Self.project((events + events.prefix(100)).shuffled(), connection)
            try await body(database, connection)
            await connection.close()
        }
    }

    /// The outbox as the events that a consumer decodes.
    static func outbox(_ connection: PostgresConnection) async throws -> [OrderEvent] {
        let rows = try await connection.execute(
            """
            SELECT event_id, event_type, aggregate_type, aggregate_id, sequence, occurred_at, version,
                correlation_id, causation_id, metadata::text, payload::text
            FROM outbox ORDER BY id
            """)
        var events: [OrderEvent] = []
        for row in 0..<rows.rowCount {
            var json = JSONWriter()
            json.beginObject()
            json.key("eventId")
            json.string(try rows.eventID(row, 0))
            json.key("eventType")
            json.string(try rows.string(row, 1))
            json.key("aggregateType")
            json.string(try rows.string(row, 2))
            json.key("aggregateId")
            json.string(try rows.string(row, 3))
            json.key("sequence")
            json.number(try rows.int64(row, 4))
            json.key("timestamp")
            json.string(try rows.timestamp(row, 5))
            json.key("version")
            json.number(try rows.int32(row, 6))
            json.key("correlationId")
            json.string(try rows.string(row, 7))
            if let causation = try rows.optionalString(row, 8) {
                json.key("causationId")
                json.string(causation)
            }
            json.key("metadata")
            json.raw(try rows.string(row, 9))
            json.key("payload")
            json.raw(try rows.string(row, 10))
            json.endObject()
            guard case .event(let event) = try OrderEventDecoder.decode(json.span) else {
                Issue.record("the decoder does not know an event of the shop")
                continue
            }
            events.append(event)
        }
        return events
    }

    static func project(_ events: [OrderEvent], _ connection: PostgresConnection) async throws {
        let writer = OrderSummaryWriter()
        for start in stride(from: 0, to: events.count, by: 500) {
            let fold = OrderSummaryFold(Array(events[start..<min(start + 500, events.count)]))
            try await connection.withTransaction { transaction in
                try await writer.write(fold, in: transaction)
            }
        }
    }

    static func shop(orders: Int) -> ShopLoad.Configuration {
        var configuration = ShopLoad.Configuration()
        configuration.orders = orders
        configuration.ordersPerSecond = 0
        configuration.connections = 3
        configuration.ordersPerTransaction = 8
        configuration.customers = 200
        return configuration
    }

    static func verdict(_ database: PostgresConfiguration, examples: Int = 10) async throws -> Verdict {
        var configuration = VerificationConfiguration(writeModel: database, readModel: database, kafka: nil)
        configuration.exampleLimit = examples
        return try await Verification(configuration).run()
    }

    @Test func everyEventDecodesWithGaplessSequences() async throws {
        try await Self.withShop(orders: 300) { _, connection in
            var last: [String: Int64] = [:]
            let events = try await Self.outbox(connection)
            // The simulated shop takes payments without an authorization.
            #expect(Set(events.map(\.type)) == Set(OrderEventType.allCases).subtracting([.paymentAuthorized]))
            for event in events {
                let id = event.identity.aggregateID
                #expect(event.identity.sequence == last[id, default: 0] + 1)
                last[id] = event.identity.sequence
            }
        }
    }

    @Test func whatTheEventsFoldToIsWhatTheWriteModelSays() async throws {
        try await Self.withShop(orders: 500) { database, _ in
            let verdict = try await Self.verdict(database)
            #expect(verdict.method == .tables)
            #expect(verdict.isEqual, "\(verdict)")
            #expect(verdict["order_summary"]?.checked == 500)
            #expect(verdict.comparisons.count == 1, "there is no dashboard")
        }
    }

    @Test func faultsAreFoundCountedAndShown() async throws {
        try await Self.withShop(orders: 60) { database, connection in
            try await connection.execute(
                script: """
                    DELETE FROM order_summary_rows WHERE order_id = 'ord-1-0000007';
                    UPDATE order_summary_rows SET total_amount = total_amount + 0.01 WHERE order_id = 'ord-1-0000009';
                    UPDATE order_summary_rows SET order_id = 'nobody' WHERE order_id = 'ord-1-0000011';
                    UPDATE order_summary_rows SET items = '[]', version = 0 WHERE order_id = 'ord-1-0000060';
                    """)
            let verdict = try await Self.verdict(database)
            #expect(verdict.decision == .different)
            let summary = try #require(verdict["order_summary"])
            #expect(summary.checked == 61)
            #expect(summary.differing == 5)
            #expect(summary.differences.contains(.init(subject: "ord-1-0000007", problem: .missing)))
            #expect(summary.differences.contains(.init(subject: "ord-1-0000011", problem: .missing)))
            #expect(summary.differences.contains(.init(subject: "nobody", problem: .unexpected)))
            let columns = summary.differences.compactMap { difference in
                if case .column(let name, _, _) = difference.problem { "\(difference.subject) \(name)" } else { nil }
            }
            #expect(
                columns.sorted() == ["ord-1-0000009 total_amount", "ord-1-0000060 items", "ord-1-0000060 version"])
        }
    }

    @Test func examplesAreLimitedAndCountsAreNot() async throws {
        try await Self.withShop(orders: 40) { database, connection in
            try await connection.execute("DELETE FROM order_summary_rows")
            let summary = try #require(try await Self.verdict(database, examples: 3)["order_summary"])
            #expect(summary.differing == 40)
            #expect(summary.differences.count == 3)
        }
    }
}

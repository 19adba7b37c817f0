import OrderSummary
import Orders
import Postgres
import StreamCore
import TestKit
import Testing

/// The same as the fold, but in PostgreSQL.
struct TableTests {
    @Test func storesAWholeLife() async throws {
        try await TestDatabase.withSchema(migrating: ["order-summary"]) { configuration in
            let connection = try await PostgresConnection.connect(configuration)
            try await write([Lifecycle.full()], OrderSummaryWriter(), connection)
            let stored = try #require(try await OrderSummaryReader.rows(limit: 10, on: connection).first)
            #expect(stored.row == OrderSummaryFold(Lifecycle.full()).rows.first)
            #expect(stored.itemCount == 6)
            #expect(stored.totalAmount == "19.5")

            let view = try await connection.execute(
                """
                SELECT order_id, customer_id, status, payment_status, shipment_status, item_count, total_amount,
                    currency, items->0->>'productId', shipping_address->>'city', cancellation_reason, cancelled_by,
                    refund_amount, payment_failure_reason, carrier, created_at < confirmed_at AND confirmed_at < payment_failed_at
                    AND payment_failed_at < paid_at AND paid_at < refunded_at AND refunded_at < shipped_at
                    AND shipped_at < delivered_at AND delivered_at < cancelled_at AND cancelled_at = updated_at, version
                FROM order_summary
                """)
            let texts = try [0, 1, 2, 4, 7, 8, 9, 10, 11, 13, 14].map { try view.string(0, $0) }
            #expect(
                texts == [
                    "order-1", "customer-1", "cancelled", "delivered", "EUR", "a", "Köln", "too late", "customer",
                    "declined", "UPS",
                ])
            #expect(try view.numeric(0, 12) == "2.50")
            #expect(try view.bool(0, 15))
            #expect(try view.int64(0, 16) == 8)
            await connection.close()
        }
    }

    /// Random interleavings of several orders' events, with duplicates, in batches cut at random, give the fold's rows.
    @Test(arguments: 0..<UInt64(4))
    func anyBatchingMakesTheSameRows(_ seed: UInt64) async throws {
        var random = SplitMix64(state: seed)
        try await TestDatabase.withSchema(migrating: ["order-summary"]) { configuration in
            let connection = try await PostgresConnection.connect(configuration)
            let writer = OrderSummaryWriter()
            let all = (0..<40).flatMap { Lifecycle.full(orderID: "order-\($0)-é", seed: seed * 100 + UInt64($0)) }
            let told = all.filter { _ in Int.random(in: 0..<5, using: &random) > 0 }
            let batches = told.shuffledWithDuplicates(using: &random).splitAtRandom(using: &random)
            try await write(batches, writer, connection)
            try await expectRows(of: told, connection)
            await connection.close()
        }
    }

    /// Owners of different topics change the same orders at the same time: the rows are the fold's, and nobody
    /// deadlocks.
    @Test(arguments: 0..<UInt64(3))
    func concurrentOwnersMakeTheSameRows(_ seed: UInt64) async throws {
        try await TestDatabase.withSchema(migrating: ["order-summary"]) { configuration in
            var random = SplitMix64(state: seed)
            let all = (0..<30).flatMap { Lifecycle.full(orderID: "order-\($0)", seed: seed * 100 + UInt64($0)) }
            var owners: [[[OrderEvent]]] = []
            for type in AggregateType.allCases {
                let own = all.filter { $0.aggregateType == type }.shuffledWithDuplicates(using: &random)
                owners.append(stride(from: 0, to: own.count, by: 7).map { Array(own[$0..<min($0 + 7, own.count)]) })
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for batches in owners {
                    group.addTask {
                        let connection = try await PostgresConnection.connect(configuration)
                        try await write(batches, OrderSummaryWriter(), connection)
                        await connection.close()
                    }
                }
                try await group.waitForAll()
            }
            let connection = try await PostgresConnection.connect(configuration)
            try await expectRows(of: all, connection)
            await connection.close()
        }
    }

    /// Every combination of facts, of the same and of different payments and shipments, earlier, later and at once: the
    /// generated columns say what the functions say.
    @Test func statusesAreWhatTheFunctionsSay() async throws {
        try await TestDatabase.withSchema(migrating: ["order-summary"]) { configuration in
            let connection = try await PostgresConnection.connect(configuration)
            let events = StatusCombinations.all()
            try await write([events], OrderSummaryWriter(), connection)
            let stored = try await OrderSummaryReader.rows(limit: 100_000, on: connection)
            #expect(stored.count == OrderSummaryFold(events).rows.count)
            let differing = stored.filter {
                $0.status != $0.row.status.rawValue || $0.paymentStatus != $0.row.paymentStatus.rawValue
                    || $0.shipmentStatus != $0.row.shipmentStatus.rawValue || $0.isOpen != $0.row.isOpen
            }
            #expect(differing.isEmpty)
            #expect(Set(stored.map(\.status)) == Set(OrderStatus.allCases.map(\.rawValue)))
            #expect(Set(stored.map(\.paymentStatus)) == Set(PaymentStatus.allCases.map(\.rawValue)))
            #expect(Set(stored.map(\.shipmentStatus)) == Set(ShipmentStatus.allCases.map(\.rawValue)))
            await connection.close()
        }
    }

    @Test func survivesASchemaMadeAnew() async throws {
        let writer = OrderSummaryWriter()
        for _ in 0..<2 {
            try await TestDatabase.withSchema(migrating: ["order-summary"]) { configuration in
                let connection = try await PostgresConnection.connect(configuration)
                try? await write([Lifecycle.full()], writer, connection)
                try await write([Lifecycle.full()], writer, connection)
                #expect(try await OrderSummaryReader.rows(limit: 10, on: connection).count == 1)
                await connection.close()
            }
        }
    }

    @Test func readsInPages() async throws {
        try await TestDatabase.withSchema(migrating: ["order-summary"]) { configuration in
            let connection = try await PostgresConnection.connect(configuration)
            let events = (0..<25).flatMap { Lifecycle.full(orderID: "order-\($0)", seed: UInt64($0)) }
            try await write([events], OrderSummaryWriter(), connection)
            var ids: [String] = []
            while true {
                let page = try await OrderSummaryReader.rows(after: ids.last, limit: 10, on: connection)
                ids += page.map(\.row.orderID)
                if page.count < 10 { break }
            }
            #expect(ids == (0..<25).map { "order-\($0)" }.sorted())
            await connection.close()
        }
    }

    private func expectRows(of events: [OrderEvent], _ connection: PostgresConnection) async throws {
        let expected = OrderSummaryFold(events).rows.sorted { $0.orderID < $1.orderID }
        let stored = try await OrderSummaryReader.rows(limit: 100_000, on: connection)
        #expect(stored.map(\.row) == expected)
        for row in stored {
            #expect(row.itemCount == row.row.items?.count)
            #expect(try row.totalAmount == row.row.items?.total())
        }
    }
}

/// Each batch in a transaction of its own; for every other one the stored lines are read ahead, as by the runner, and
/// those of the batch before along with them.
private func write(
    _ batches: [[OrderEvent]], _ writer: OrderSummaryWriter, _ connection: PostgresConnection
) async throws {
    for (index, batch) in batches.enumerated() {
        try await connection.withTransaction { transaction in
            var stored: QueryResult?
            if index % 2 == 1 {
                let events = batches[index - 1] + batch
                if let (statement, parameters) = OrderSummaryWriter.storedItems(of: events) {
                    stored = try await transaction.execute(statement, parameters)
                }
            }
            try await writer.write(OrderSummaryFold(batch), storedItems: stored, in: transaction)
        }
    }
}

import Events
import OrderSummary
import OrderSummaryKit
import Orders
import Postgres
import StreamCore
import TestKit
import Testing

/// The same tests as for the fold, but in PostgreSQL.
struct TableTests {
    @Test func storesAWholeLife() async throws {
        try await TestDatabase.withSchema(migrating: ["projections", "order-summary"]) { configuration in
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
                    AND payment_failed_at < paid_at AND refunded_at < paid_at AND paid_at < shipped_at
                    AND shipped_at < delivered_at AND delivered_at < cancelled_at AND cancelled_at = updated_at, version
                FROM order_summary
                """)
            let texts = try [0, 1, 2, 4, 7, 8, 9, 10, 11, 13, 14].map { try view.string(0, $0) }
            #expect(
                texts == [
                    "order-1", "customer-1", "cancelled", "partially_delivered", "EUR", "a", "Köln", "too late",
                    "customer", "declined", "UPS",
                ])
            #expect(try view.string(0, 3) == "partially_refunded")
            #expect(try view.numeric(0, 12) == "17.00")
            #expect(try view.bool(0, 15))
            #expect(try view.int64(0, 16) == 8)
            await connection.close()
        }
    }

    /// The events of several orders are interleaved at random, duplicated, and split into random batches. The rows are
    /// those of the fold.
    @Test(arguments: 0..<UInt64(4))
    func anyBatchingMakesTheSameRows(_ seed: UInt64) async throws {
        var random = SplitMix64(seed: seed)
        try await TestDatabase.withSchema(migrating: ["projections", "order-summary"]) { configuration in
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

    /// Owners of different topics change the same orders at the same time. So do several owners of one aggregate, which
    /// happens after partitions were added or when letters are retried. The rows are those of the fold, and no deadlock
    /// occurs.
    @Test(arguments: 0..<UInt64(3), [true, false])
    func concurrentOwnersMakeTheSameRows(_ seed: UInt64, _ areOfDifferentTopics: Bool) async throws {
        try await TestDatabase.withSchema(migrating: ["projections", "order-summary"]) { configuration in
            var random = SplitMix64(seed: seed)
            let all = (0..<30).flatMap { Lifecycle.full(orderID: "order-\($0)", seed: seed * 100 + UInt64($0)) }
            var owners: [[[OrderEvent]]] = []
            var told: [OrderEvent] = []
            for type in AggregateType.allCases {
                let own = all.filter {
                    areOfDifferentTopics ? $0.aggregateType == type : Int.random(in: 0..<2, using: &random) == 0
                }.shuffledWithDuplicates(using: &random)
                told += own
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
            try await expectRows(of: told, connection)
            await connection.close()
        }
    }

    /// Some writers set no sequence, or the same sequence twice. The SQL merge decides as the fold does.
    @Test(arguments: 0..<UInt64(6))
    func faultyStreamsMakeTheSameRows(_ seed: UInt64) async throws {
        try await TestDatabase.withSchema(migrating: ["projections", "order-summary"]) { configuration in
            var random = SplitMix64(seed: seed)
            var all: [OrderEvent] = []
            for order in 0..<20 {
                for writer in 0..<3 {
                    var life = Lifecycle(orderID: "order-\(order)", seed: seed * 1_000 + UInt64(order * 3 + writer))
                    let isNumbered = (0..<8).map { _ in Int.random(in: 0..<3, using: &random) > 0 }
                    let price: DecimalAmount = writer == 0 ? "2.0" : "2.00"
                    life.tell(.itemAdded(Lifecycle.line("a", 1, price)), at: 3, isNumbered: isNumbered[0])
                    life.tell(.itemAdded(Lifecycle.line("a", 2, "1")), at: 2, isNumbered: isNumbered[1])
                    life.tell(
                        writer == 1 ? .itemRemoved(productID: "a") : .itemAdded(Lifecycle.line("b", 1, price)), at: 1,
                        isNumbered: isNumbered[2])
                    life.tell(life.failed("\(writer)"), of: "pay", at: 3, isNumbered: isNumbered[3])
                    life.tell(life.refunded("\(writer)"), of: "pay", at: 2, isNumbered: isNumbered[4])
                    life.tell(life.refunded("\(writer)"), of: "pay", at: 2, isNumbered: isNumbered[5])
                    life.tell(life.shipped("\(writer)"), of: "ship", at: 2, isNumbered: isNumbered[6])
                    life.tell(.orderConfirmed, at: 1, isNumbered: isNumbered[7])
                    all += life.events
                }
            }
            let connection = try await PostgresConnection.connect(configuration)
            let batches = all.shuffledWithDuplicates(using: &random).splitAtRandom(using: &random)
            try await write(batches, OrderSummaryWriter(), connection)
            try await expectRows(of: all, connection)
            await connection.close()
        }
    }

    /// Two owners change the same orders at the same time, for example the owners of a partition and of the retry
    /// topic. The second waits for the row lock of the first. No change of either is lost, in both orders of commit.
    @Test(arguments: [false, true], [false, true])
    func whatTwoOwnersTellAtOnceIsAllKept(_ isReversed: Bool, _ isKnown: Bool) async throws {
        try await TestDatabase.withSchema(migrating: ["projections", "order-summary"]) { configuration in
            let first = try await PostgresConnection.connect(configuration)
            let second = try await PostgresConnection.connect(configuration)
            let observer = try await PostgresConnection.connect(configuration)
            let all = (0..<5).flatMap { Lifecycle.full(orderID: "order-\($0)", seed: UInt64($0)) }
            let known = isKnown ? all.filter { $0.identity.sequence == 1 } : []
            if isKnown { try await write([known], OrderSummaryWriter(), first) }
            // The two owners share the items of one order, and the events of one payment and of one shipment.
            var halves = [
                all.filter { $0.identity.sequence % 2 == 0 },
                all.filter { $0.identity.sequence % 2 == 1 && !known.contains($0) },
            ]
            if isReversed { halves.reverse() }
            try await interleave(first, halves[0], second, halves[1], watchedBy: observer)
            try await expectRows(of: all, observer)
            for connection in [first, second, observer] { await connection.close() }
        }
    }

    /// Both transactions write the same rows. The second waits until the first commits.
    private func interleave(
        _ first: PostgresConnection, _ firstEvents: [OrderEvent], _ second: PostgresConnection,
        _ secondEvents: [OrderEvent], watchedBy observer: PostgresConnection
    ) async throws {
        let pid = try await second.execute("SELECT pg_backend_pid()").int32(0, 0)
        let waiting = try await first.withTransaction { transaction in
            try await OrderSummaryWriter().write(OrderSummaryFold(firstEvents), in: transaction)
            // Sends the statements that are still queued.
            try await transaction.execute("SELECT 1")
            let waiting = Task { try await write([secondEvents], OrderSummaryWriter(), second) }
            try await eventually {
                try await observer.execute(
                    "SELECT cardinality(pg_blocking_pids($1)) > 0", Parameters { $0.append(pid) }
                ).bool(0, 0)
            }
            return waiting
        }
        try await waiting.value
    }

    /// For every combination of facts, the generated columns agree with the functions.
    @Test func statusesAreWhatTheFunctionsSay() async throws {
        try await TestDatabase.withSchema(migrating: ["projections", "order-summary"]) { configuration in
            let connection = try await PostgresConnection.connect(configuration)
            let orders = StatusCombinations.all()
            let events = orders.flatMap(\.events)
            // Writes all events at once, and then one by one, so that the SQL merge also produces each status.
            try await write([events], OrderSummaryWriter(), connection)
            try await expectStatuses(of: orders, connection)
            try await connection.execute("TRUNCATE order_summary_rows")
            let longest = orders.map(\.events.count).max() ?? 0
            for place in (0..<longest).shuffled() {
                let batch = orders.compactMap { $0.events.indices.contains(place) ? $0.events[place] : nil }
                try await write([batch], OrderSummaryWriter(), connection)
            }
            try await expectStatuses(of: orders, connection)
            await connection.close()
        }
    }

    private func expectStatuses(
        of orders: [StatusCombinations.Order], _ connection: PostgresConnection
    ) async throws {
        let events = orders.flatMap(\.events)
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
        let expected = Dictionary(uniqueKeysWithValues: orders.map { ($0.events[0].orderID, $0) })
        let wrong = stored.filter { $0.status != expected[$0.row.orderID]?.status.rawValue }
        #expect(wrong.isEmpty)
    }

    @Test func survivesASchemaMadeAnew() async throws {
        let writer = OrderSummaryWriter()
        for _ in 0..<2 {
            try await TestDatabase.withSchema(migrating: ["projections", "order-summary"]) { configuration in
                let connection = try await PostgresConnection.connect(configuration)
                try? await write([Lifecycle.full()], writer, connection)
                try await write([Lifecycle.full()], writer, connection)
                #expect(try await OrderSummaryReader.rows(limit: 10, on: connection).count == 1)
                await connection.close()
            }
        }
    }

    @Test func readsInPages() async throws {
        try await TestDatabase.withSchema(migrating: ["projections", "order-summary"]) { configuration in
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
            #expect(row.updatedAt == row.row.updatedAt)
            #expect(row.lastEventID == row.row.lastMoment?.eventID)
            #expect(row.confirmedAt == row.row.confirmedAt)
            #expect(
                row.shownEventIDs == [
                    row.row.paid?.eventID, row.row.failed?.eventID, row.row.refunded?.eventID, row.row.shipped?.eventID,
                    row.row.delivered?.eventID,
                ])
        }
    }
}

/// Writes each batch in its own transaction.
private func write(
    _ batches: [[OrderEvent]], _ writer: OrderSummaryWriter, _ connection: PostgresConnection
) async throws {
    for batch in batches {
        try await connection.withTransaction { transaction in
            try await writer.write(OrderSummaryFold(batch), in: transaction)
        }
    }
}

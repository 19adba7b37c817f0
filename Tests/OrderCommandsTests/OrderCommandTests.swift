import CommandKit
import Commands
import Events
import OrderCommands
import Orders
import Postgres
import StreamCore
import TestKit
import Testing

@Suite struct OrderCommandTests {
    typealias Rules = OrderRulesTests

    @Test func anOrdersWayThroughTheTables() async throws {
        try await OrderScene.with { scene in
            let lines = [Rules.line("p2", 2, 300), Rules.line("p1", 1, 500)]
            let tenant = CommandRequest(metadata: EventMetadata(userID: "u", tenantID: "t", source: "test"))
            #expect(try await scene.send(scene.create("o1", lines), tenant) == "1")
            #expect(try await scene.send(scene.create("o1", lines), tenant) == "order-exists")
            #expect(try await scene.send(AddItem(orderID: "o1", line: Rules.line("p3", 1, 250)), tenant) == "2")
            #expect(try await scene.send(RemoveItem(orderID: "o1", productID: "p1"), tenant) == "3")
            #expect(try await scene.send(ConfirmOrder(orderID: "o1")) == "unknown-order")
            #expect(try await scene.send(ConfirmOrder(orderID: "o1"), tenant) == "total-below-minimum")
            #expect(try await scene.send(AddItem(orderID: "o1", line: Rules.line("p2", 3, 300)), tenant) == "4")
            #expect(try await scene.send(ConfirmOrder(orderID: "o1"), tenant) == "5")
            #expect(try await scene.send(RemoveItem(orderID: "o1", productID: "p2"), tenant) == "order-not-open")
            let order = try #require(try await scene.bus.aggregate(OrderDecider.self, "o1"))
            #expect(order.version == 5 && order.state.total == Rules.cents(1_150))
            #expect(order.state.lines.map(\.productID) == ["p2", "p3"])
            let stored = try await scene.connection.execute(
                """
                SELECT status, total_amount, tenant_id, (SELECT count(*) FROM order_items), confirmed_at = updated_at,
                    last_event_id = (SELECT event_id FROM outbox ORDER BY id DESC LIMIT 1)
                FROM orders
                """)
            #expect(try stored.string(0, 0) == "confirmed" && stored.numeric(0, 1) == "11.50")
            #expect(try stored.string(0, 2) == "t" && stored.int64(0, 3) == 2)
            #expect(try stored.bool(0, 4) && stored.bool(0, 5))
            let cancellation = CancelOrder(orderID: "o1", reason: "ordered twice", cancelledBy: "customer")
            #expect(try await scene.send(cancellation, tenant) == "6")
            #expect(try await scene.send(cancellation, tenant) == "order-cancelled")
            #expect(try await scene.send(scene.create("o2", customer: "nobody", lines)) == "unknown-customer")
            #expect(try await scene.number("SELECT count(*) FROM outbox") == 6)
        }
    }

    @Test func whatIsShippedIsNotCancelled() async throws {
        try await OrderScene.with { scene in
            _ = try await scene.send(scene.create("o1", [Rules.line("p1", 1, 5_000)]))
            _ = try await scene.send(ConfirmOrder(orderID: "o1"))
            try await scene.connection.execute(
                script: """
                    INSERT INTO shipments VALUES ('s', 'o1', 'created', 'DHL', 'T', 1, now(), gen_random_uuid(), NULL,
                        NULL, now(), gen_random_uuid())
                    """)
            let answer = try await scene.send(CancelOrder(orderID: "o1", reason: "r", cancelledBy: "b"))
            #expect(answer == "order-shipped")
        }
    }

    /// Many orders of one customer are confirmed at once, in one transaction and in several. Their total never exceeds
    /// the limit.
    @Test func theCreditLimitHoldsForAllOrdersTogether() async throws {
        try await OrderScene.with { scene in
            for number in 0..<12 {
                let order = scene.create("o\(number)", customer: "c2", [Rules.line("p", 1, 3_000)])
                #expect(try await scene.send(order) == "1")
            }
            let answers = try await withThrowingTaskGroup(of: String.self) { group in
                for number in 0..<12 { group.addTask { try await scene.send(ConfirmOrder(orderID: "o\(number)")) } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(answers.count { $0 == "2" } == 3)
            #expect(answers.count { $0 == "credit-limit-exceeded" } == 9)
            // A paid order no longer counts towards the limit.
            try await scene.connection.execute(
                script: """
                    INSERT INTO payments (payment_id, order_id, status, amount, currency, version, updated_at, last_event_id)
                    SELECT 'p' || order_id, order_id, 'completed', 30, 'EUR', 1, now(), gen_random_uuid()
                    FROM orders WHERE status = 'confirmed' ORDER BY order_id LIMIT 1
                    """)
            var confirmed = 0
            for number in 0..<12 where try await scene.send(ConfirmOrder(orderID: "o\(number)")) == "2" {
                confirmed += 1
            }
            #expect(confirmed == 1)
        }
    }

    /// Random histories run through the bus, with many orders at once. The tables and the outbox agree with the events.
    @Test func theTablesAreWhatTheEventsMake() async throws {
        let seed = UInt64.random(in: 0...999_999)
        print("histories of orders in the database: SEED=\(seed)")
        try await OrderScene.with { scene in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<60 {
                    group.addTask { try await Self.play(number, seed, scene) }
                }
                try await group.waitForAll()
            }
            for number in 0..<60 {
                let rows = try await scene.connection.execute(
                    .unprepared(
                        """
                        SELECT event_type, sequence, occurred_at, event_id, payload, version FROM outbox
                        WHERE aggregate_id = 'o\(number)' ORDER BY id
                        """))
                var state: OrderState?
                for row in 0..<rows.rowCount {
                    let type = try #require(OrderEventType(rawValue: try rows.string(row, 0)))
                    let payload = try EventDecoder<OrderEventPayload>.payload(
                        try rows.textBytes(row, 4), of: type, version: Int(try rows.int32(row, 5)))
                    #expect(try rows.int64(row, 1) == Int64(row + 1), "SEED=\(seed)")
                    let event = OrderEvent(
                        payload, of: "o\(number)", sequence: Int64(row + 1), at: try rows.timestamp(row, 2),
                        eventID: try rows.eventID(row, 3))
                    state = OrderDecider.evolve(state, event)
                }
                let loaded = try await scene.bus.aggregate(OrderDecider.self, "o\(number)")
                #expect(loaded?.state == state, "SEED=\(seed)")
                #expect(loaded?.version ?? 0 == Int64(rows.rowCount), "SEED=\(seed)")
            }
            #expect(
                try await scene.number(
                    """
                    SELECT count(*) FROM orders AS o WHERE total_amount <>
                        (SELECT sum(quantity * unit_price) FROM order_items AS i WHERE i.order_id = o.order_id)
                    """) == 0)
        }
    }

    private static func play(_ number: Int, _ seed: UInt64, _ scene: CommandScene) async throws {
        var random = SplitMix64(seed: seed &+ UInt64(number))
        var model = OrderModel()
        for place in 0..<12 {
            let step = OrderModel.step(isFirst: place == 0, using: &random)
            let answer: String
            switch step {
            case .create(let lines, let known):
                let order = lines.map { Rules.line($0.product, $0.pieces, $0.cents) }
                answer = try await scene.send(
                    scene.create("o\(number)", customer: known ? "c3" : "nobody", order))
            case .put(let product, let pieces, let cents, let euro):
                let currency = euro ? nil : Currency("USD")
                answer = try await scene.send(
                    AddItem(orderID: "o\(number)", line: Rules.line(product, pieces, cents), currency: currency))
            case .remove(let product):
                answer = try await scene.send(RemoveItem(orderID: "o\(number)", productID: product))
            case .confirm: answer = try await scene.send(ConfirmOrder(orderID: "o\(number)"))
            case .cancel:
                answer = try await scene.send(CancelOrder(orderID: "o\(number)", reason: "r", cancelledBy: "b"))
            case .ship: continue
            }
            // In this test no customer has a limit, and nothing is shipped.
            let played: OrderModel.Step = if case .confirm = step { .confirm(limit: nil, owed: 0) } else { step }
            let rule = model.play(played)
            #expect(rule == nil ? Int64(answer) != nil : answer == rule, "SEED=\(seed), order \(number): \(step)")
        }
    }
}

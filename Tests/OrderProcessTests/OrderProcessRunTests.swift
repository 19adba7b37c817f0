import CommandKit
import Commands
import OrderCommands
import OrderProcess
import Orders
import Postgres
import TestKit
import Testing

/// The order process on a real database: single transactions, and the whole path through Kafka.
@Suite struct OrderProcessRunTests {
    /// The path without waiting: one transaction does everything.
    @Test func aConfirmedOrderIsPaidAndShipped() async throws {
        try await ProcessScene.with(pieces: 5) { scene in
            try await scene.confirm("a", pieces: 2, tenant: nil)
            try await scene.apply(scene.events())
            #expect(try await scene.stages() == ["shipped 1"])
            #expect(try await scene.rows("SELECT on_hand, reserved FROM inventory") == ["3 0"])
            #expect(try await scene.rows("SELECT status, amount FROM payments") == ["completed 40"])
            #expect(
                try await scene.rows("SELECT step, outcome, stage FROM process_steps ORDER BY number") == [
                    "OrderConfirmed taken working", "ReserveOrder accepted working", "AuthorizeOrder accepted working",
                    "ShipOrder accepted shipped",
                ])
            // The events of the process have the correlation id of the request that confirmed the order.
            #expect(
                try await scene.rows(
                    """
                    SELECT DISTINCT correlation_id, metadata ->> 'source' FROM outbox
                    WHERE event_type IN ('PaymentAuthorized', 'PaymentCompleted', 'ShipmentCreated')
                    """) == ["visit-a order-process"])
            // Applying all events again changes nothing.
            try await scene.apply(scene.events())
            #expect(try await scene.shop.number("SELECT count(*) FROM process_steps") == 4)
            #expect(try await scene.inconsistencies() == [])
        }
    }

    /// A transaction that is rolled back at its end leaves nothing of any step.
    @Test func aRollbackLeavesNothing() async throws {
        struct Killed: Error {}
        try await ProcessScene.with(pieces: 5) { scene in
            try await scene.confirm("a")
            let events = try await scene.events()
            let rows = try await scene.shop.number("SELECT count(*) FROM outbox")
            await #expect(throws: Killed.self) { try await scene.apply(events) { throw Killed() } }
            #expect(try await scene.stages() == [])
            #expect(try await scene.shop.number("SELECT count(*) FROM outbox") == rows)
            #expect(try await scene.rows("SELECT on_hand, reserved FROM inventory") == ["5 0"])
            #expect(try await scene.shop.number("SELECT count(*) FROM payments") == 0)
            try await scene.apply(events)
            #expect(try await scene.stages() == ["shipped 1"])
            #expect(try await scene.inconsistencies() == [])
        }
    }

    /// Two orders want the last piece in the same transaction.
    @Test func withoutStockAnOrderIsCancelled() async throws {
        try await ProcessScene.with(pieces: 1) { scene in
            try await scene.confirm("a")
            try await scene.confirm("b")
            try await scene.apply(scene.events())
            #expect(try await scene.stages() == ["cancelled 1", "shipped 1"])
            #expect(
                try await scene.rows("SELECT order_id, cancel_reason, cancelled_by FROM orders WHERE order_id = 'b'")
                    == ["b insufficient-stock order-process"])
            #expect(try await scene.inconsistencies() == [])
        }
    }

    @Test func anOrderMayWaitForStock() async throws {
        try await ProcessScene.with(pieces: 1, { ($0.stockTimeoutS, $0.stockRetryS) = (600, 60) }) { scene in
            try await scene.confirm("a", pieces: 2)
            try await scene.confirm("b", pieces: 9)
            try await scene.apply(scene.events())
            #expect(try await scene.stages() == ["awaiting_stock 2"])
            #expect(try await scene.passDeadlines() == 0)
            _ = try await scene.shop.call("POST", "/v1/inventory/p/receipts", #"{"quantity":3}"#)
            scene.clock.advance(seconds: 60)
            #expect(try await scene.passDeadlines() == 2)
            #expect(try await scene.stages() == ["awaiting_stock 1", "shipped 1"])
            scene.clock.advance(seconds: 600)
            #expect(try await scene.passDeadlines() == 1)
            #expect(try await scene.stages() == ["cancelled 1", "shipped 1"])
            #expect(try await scene.passDeadlines() == 0)
            #expect(try await scene.inconsistencies() == [])
        }
    }

    /// Tenants are separated: the process sends its commands for the tenant of the order.
    @Test func theStockOfAnotherTenantIsNotTaken() async throws {
        try await ProcessScene.with(pieces: 5) { scene in
            try await scene.confirm("a", tenant: "t")
            try await scene.apply(scene.events())
            #expect(try await scene.stages() == ["cancelled 1"])
            #expect(
                try await scene.rows("SELECT outcome FROM process_steps WHERE step = 'ReserveOrder'")
                    == ["unknown-stock"])
            #expect(try await scene.rows("SELECT cancel_reason FROM orders") == ["unknown-stock"])
        }
    }

    /// If someone ships the order by hand, the process stops, and an operator can see the reason.
    @Test func anOrderThatWasShippedByHandStops() async throws {
        try await ProcessScene.with(pieces: 5, { $0.capture = .provider }) { scene in
            try await scene.confirm("a")
            try await scene.apply(scene.events())
            let parcel = ShipmentCreated(orderID: "a", carrier: "x", trackingNumber: "1")
            #expect(try await scene.shop.send(CreateShipment(shipmentID: "s", parcel: parcel)) == "1")
            scene.clock.advance(seconds: 1_000)
            #expect(try await scene.passDeadlines() == 1)
            #expect(try await scene.stages() == ["stopped 1"])
            #expect(
                try await scene.rows("SELECT state ->> 'reason', is_finished FROM processes") == ["order-shipped false"]
            )
            #expect(try await scene.shop.number("SELECT count(*) FROM shipments") == 1)
            #expect(try await scene.rows("SELECT status FROM orders") == ["confirmed"])
        }
    }

    /// The customer cancels and the provider captures the payment before the process receives either event.
    @Test func aCapturedPaymentOfACancelledOrderIsRefundedOnce() async throws {
        try await ProcessScene.with(pieces: 5, { $0.capture = .provider }) { scene in
            try await scene.confirm("a")
            try await scene.apply(scene.events())
            #expect(try await scene.capture("a") == "2")
            #expect(
                try await scene.shop.send(CancelOrder(orderID: "a", reason: "r", cancelledBy: "customer")) == "3")
            for types in [["PaymentCompleted"], ["OrderCancelled"], ["OrderCancelled", "PaymentCompleted"]] {
                for type in types { try await scene.apply(scene.events(type)) }
            }
            #expect(try await scene.stages() == ["cancelled 1"])
            #expect(try await scene.rows("SELECT status, refunded_amount FROM payments") == ["refunded 20"])
            #expect(try await scene.shop.number("SELECT count(*) FROM payment_refunds") == 1)
            #expect(try await scene.rows("SELECT on_hand, reserved FROM inventory") == ["5 0"])
            #expect(try await scene.inconsistencies() == [])
        }
    }

    /// A deadline that fails is retried and does not delay the others.
    @Test func aDeadlineThatFailsComesAgain() async throws {
        try await ProcessScene.with(pieces: 5, { $0.capture = .provider }) { scene in
            for id in ["a", "b"] { try await scene.confirm(id) }
            try await scene.apply(scene.events())
            try await scene.setFormat(of: "a", to: 99)
            scene.clock.advance(seconds: 1_000)
            #expect(try await scene.passDeadlines() == 1)
            #expect(try await scene.stages() == ["awaiting_payment 1", "cancelled 1"])
            #expect(try await scene.rows("SELECT failed_count FROM processes WHERE process_id = 'a'") == ["1"])
            try await scene.setFormat(of: "a", to: 1)
            #expect(try await scene.passDeadlines() == 0)
            scene.clock.advance(seconds: 1)
            #expect(try await scene.passDeadlines() == 1)
            #expect(try await scene.stages() == ["cancelled 2"])
            #expect(try await scene.inconsistencies() == [])
        }
    }

    /// A capture, a cancellation, an event and a deadline of the same order happen at the same time.
    @Test func whatMeetsIsDecidedOnce() async throws {
        try await ProcessScene.with(pieces: 100, { $0.capture = .provider }) { scene in
            let ids = (0..<12).map { "o\($0)" }
            for id in ids { try await scene.confirm(id) }
            try await scene.apply(scene.events())
            #expect(try await scene.stages() == ["awaiting_payment 12"])
            scene.clock.advance(seconds: 1_000)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { for id in ids { _ = try await scene.capture(id) } }
                group.addTask {
                    for id in ids.reversed() {
                        _ = try await scene.shop.send(CancelOrder(orderID: id, reason: "r", cancelledBy: "customer"))
                    }
                }
                for _ in 0..<2 { group.addTask { _ = try await scene.passDeadlines() } }
                try await group.waitForAll()
            }
            // Applies the remaining events afterwards.
            try await eventually {
                _ = try await scene.passDeadlines()
                let events = try await scene.events()
                try await scene.apply(events)
                return try await scene.shop.number("SELECT count(*) FROM processes WHERE NOT is_finished") == 0
            }
            #expect(try await scene.inconsistencies() == [])
        }
    }

    /// The whole path through Kafka: every record comes twice, the process restarts in the middle, payments are
    /// captured, fail or get no answer, and there is too little stock.
    @Test func eachStepIsTakenOnce() async throws {
        try await ProcessScene.with(pieces: 27, { $0.capture = .provider }) { scene in
            let ids = (0..<30).map { "o\($0)" }
            for id in ids { try await scene.confirm(id) }
            try await scene.running {
                try await scene.publish(times: 2)
                try await eventually { try await scene.shop.number("SELECT count(*) FROM processes") == 30 }
            }
            #expect(try await scene.stages() == ["awaiting_payment 27", "cancelled 3"])
            let waiting = try await scene.rows(
                "SELECT process_id FROM processes WHERE stage = 'awaiting_payment' ORDER BY 1")
            for id in waiting[..<9] { #expect(try await scene.capture(id) == "2") }
            for id in waiting[9..<18] {
                let failure = FailPayment(paymentID: OrderProcessPolicy.paymentID(of: id), reason: "declined")
                #expect(try await scene.shop.send(failure) == "2")
            }
            try await scene.running {
                try await scene.publish(times: 2, again: true)
                try await eventually {
                    try await scene.stages() == ["awaiting_payment 9", "cancelled 12", "shipped 9"]
                }
                scene.clock.advance(seconds: 1_000)
                try await eventually { try await scene.stages() == ["cancelled 21", "shipped 9"] }
                try await scene.publish(again: true)
            }
            #expect(try await scene.inconsistencies() == [])
            #expect(try await scene.rows("SELECT on_hand, reserved FROM inventory") == ["18 0"])
            #expect(
                try await scene.rows("SELECT status, count(*) FROM payments GROUP BY 1 ORDER BY 1")
                    == ["completed 9", "failed 18"])
            #expect(
                try await scene.rows("SELECT cancel_reason, count(*) FROM orders GROUP BY 1 ORDER BY 1") == [
                    "insufficient-stock 3", "payment-failed 9", "payment-timeout 9", "∅ 9",
                ])
        }
    }
}

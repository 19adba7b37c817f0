import CommandKit
import Commands
import Events
import InventoryCommands
import Postgres
import Testing

/// Tests requests about stock: their answers, and the rows that they write.
@Suite struct InventoryRouteTests {
    private static func with(_ body: (CommandScene) async throws -> Void) async throws {
        try await CommandScene.with([InventoryCommands.domain], body)
    }

    private static func pieces(_ quantity: Int, _ order: String = "o1") -> String {
        #"{"orderId":"\#(order)","quantity":\#(quantity)}"#
    }

    @Test func aStocksWayFromReceiptToShipment() async throws {
        try await Self.with { scene in
            let path = "/v1/inventory/cup"
            #expect(try await scene.call("GET", path).type == "unknown-stock")
            #expect(try await scene.call("POST", path + "/reservations", Self.pieces(1)).type == "unknown-stock")
            let received = try await scene.call("POST", path + "/receipts", #"{"quantity":10}"#)
            #expect(received.status == 200 && received["ETag"] == "\"1\"")
            #expect(received.text.contains(#""productId":"cup","onHand":10,"reserved":0,"available":10,"#))
            #expect(received.text.hasSuffix(#""_links":{"self":{"href":"/v1/inventory/cup"}}}"#))
            #expect(try await scene.call("GET", path).body == received.body)
            let kept = try await scene.call("POST", path + "/reservations", Self.pieces(7))
            #expect(kept.status == 200 && kept.text.contains(#""onHand":10,"reserved":7,"available":3,"#))
            let tooMany = try await scene.call("POST", path + "/reservations", Self.pieces(4, "o2"))
            #expect(tooMany.status == 409 && tooMany.type == "insufficient-stock", "\(tooMany.text)")
            #expect(try await scene.call("POST", path + "/reservations", Self.pieces(3, "o2")).status == 200)
            let others = try await scene.call("POST", path + "/shipments", Self.pieces(4, "o2"))
            #expect(others.status == 409 && others.type == "not-reserved")
            #expect(try await scene.call("POST", path + "/releases", Self.pieces(3, "o2")).status == 200)
            let shipped = try await scene.call("POST", path + "/shipments", Self.pieces(5), ["if-match": "\"4\""])
            #expect(shipped.text.contains(#""onHand":5,"reserved":2,"available":3,"#), "\(shipped.text)")
            #expect(shipped["ETag"] == "\"5\"")
            let stale = try await scene.call("POST", path + "/releases", Self.pieces(1), ["if-match": "\"4\""])
            #expect(stale.status == 412 && stale.text.contains(#""currentVersion":5"#))
            #expect(
                try await scene.rows("SELECT order_id, quantity::text FROM inventory_reservations") == ["o1 2"])
            // The events have the form that projections/customer-orders reads. The latest event contains all that it
            // needs.
            #expect(
                try await scene.rows(
                    """
                    SELECT aggregate_type, aggregate_id, event_type, sequence::text, payload ->> 'reason',
                        payload ->> 'available', payload ->> 'reservedForOrder'
                    FROM outbox ORDER BY id
                    """) == [
                        "Inventory cup StockChanged 1 received 10 ∅", "Inventory cup StockChanged 2 reserved 3 7",
                        "Inventory cup StockChanged 3 reserved 0 3", "Inventory cup StockChanged 4 released 3 0",
                        "Inventory cup StockChanged 5 shipped 3 2",
                    ])
        }
    }

    /// Invalid requests, with the status and the last part of the problem's type.
    static let wrong: [(body: String, status: Int, type: String)] = [
        ("", 400, "invalid-json"), ("{", 400, "invalid-json"), ("3", 422, "wrong-type"), ("{}", 422, "missing-field"),
        (#"{"quantity":1}"#, 422, "missing-field"), (#"{"orderId":"o"}"#, 422, "missing-field"),
        (pieces(0), 422, "invalid-quantity"), (pieces(-1), 422, "invalid-quantity"),
        (pieces(3_000_000_000), 422, "invalid-quantity"),
        (pieces(1).replacing(":1}", with: ":99999999999999999999}"), 422, "wrong-type"),
        (pieces(1).replacing(":1}", with: ":1.5}"), 422, "wrong-type"),
        (pieces(1).replacing(":1}", with: #":"1"}"#), 422, "wrong-type"),
        (pieces(1).replacing(":1}", with: ":1,\"quantity\":1}"), 422, "wrong-type"),
        (pieces(1).replacing(":1}", with: ":1,\"colour\":\"red\"}"), 422, "unknown-field"),
        (pieces(1, ""), 422, "invalid-value"), (pieces(1, #"\u0000"#), 422, "invalid-value"),
        (pieces(1, String(repeating: "o", count: 256)), 422, "invalid-value"),
        (pieces(4), 409, "insufficient-stock"), (pieces(.init(Int32.max)), 409, "insufficient-stock"),
    ]

    @Test func whatIsWrongIsToldByItsOwnProblemAndNothingIsWritten() async throws {
        try await Self.with { scene in
            #expect(try await scene.call("POST", "/v1/inventory/cup/receipts", #"{"quantity":3}"#).status == 200)
            for (body, status, type) in Self.wrong {
                let answer = try await scene.call("POST", "/v1/inventory/cup/reservations", body)
                #expect(answer.status == status && answer.type == type, "\(body): \(answer.text)")
            }
            let named = try await scene.call("POST", "/v1/inventory/cup/receipts", Self.pieces(1))
            #expect(named.type == "unknown-field", "a receipt has no order")
            for action in ["releases", "shipments"] {
                let answer = try await scene.call("POST", "/v1/inventory/cup/\(action)", Self.pieces(1))
                #expect(answer.status == 409 && answer.type == "not-reserved", "\(action)")
            }
            let long = String(repeating: "p", count: 256)
            #expect(try await scene.call("POST", "/v1/inventory/\(long)/receipts", #"{"quantity":1}"#).status == 400)
            #expect(try await scene.number("SELECT count(*) FROM outbox") == 1)
            #expect(try await scene.number("SELECT count(*) FROM inventory_reservations") == 0)
            #expect(
                try await scene.rows("SELECT on_hand::text, reserved::text, version::text FROM inventory") == ["3 0 1"])
        }
    }

    @Test func aKeyReservesOnce() async throws {
        try await Self.with { scene in
            _ = try await scene.call("POST", "/v1/inventory/cup/receipts", #"{"quantity":3}"#)
            let key = ["idempotency-key": "k"]
            let first = try await scene.call("POST", "/v1/inventory/cup/reservations", Self.pieces(2), key)
            let again = try await scene.call("POST", "/v1/inventory/cup/reservations", Self.pieces(2), key)
            #expect(first.status == 200 && again.body == first.body && again["Idempotency-Replayed"] == "true")
            let other = try await scene.call("POST", "/v1/inventory/cup/reservations", Self.pieces(1), key)
            #expect(other.type == "idempotency-key-reused")
            #expect(try await scene.number("SELECT reserved FROM inventory") == 2)
        }
    }

    @Test func anotherTenantSeesAndMovesNothing() async throws {
        try await Self.with { scene in
            _ = try await scene.call("POST", "/v1/inventory/cup/receipts", #"{"quantity":3}"#, tenant: "t")
            for tenant in [nil, "u"] {
                #expect(try await scene.call("GET", "/v1/inventory/cup", tenant: tenant).status == 404)
                for (action, body) in [
                    ("receipts", #"{"quantity":3}"#), ("reservations", Self.pieces(1)), ("releases", Self.pieces(1)),
                    ("shipments", Self.pieces(1)),
                ] {
                    let answer = try await scene.call("POST", "/v1/inventory/cup/\(action)", body, tenant: tenant)
                    #expect(answer.status == 404 && answer.type == "unknown-stock", "\(action)")
                }
            }
            #expect(try await scene.call("GET", "/v1/inventory/cup", tenant: "t").status == 200)
            #expect(try await scene.number("SELECT count(*) FROM outbox") == 1)
        }
    }

    @Test func theDescriptionHasEveryRoute() throws {
        #expect(try InventoryCommands.domain.undescribed() == [])
    }

    /// Many orders request the same pieces at once, through two buses. Each piece is reserved once, and the tables
    /// agree with the events.
    @Test func piecesAreReservedOnceHoweverManyWantThem() async throws {
        try await Self.with { scene in
            #expect(try await scene.send(ReceiveStock(productID: "cup", quantity: 100)) == "1")
            let answers = try await scene.race(300) { number, bus in
                let stock = OrderStock(productID: "cup", orderID: "o\(number % 40)", quantity: 1)
                return try await bus.send(ReserveStock(stock))
            }
            #expect(answers.count { $0 == nil } == 100)
            #expect(answers.count { $0 == "insufficient-stock" } == 200)
            let shipments = try await scene.race(80) { number, bus in
                let stock = OrderStock(productID: "cup", orderID: "o\(number % 40)", quantity: 2)
                return try await bus.send(ShipStock(stock))
            }
            let shipped = shipments.count { $0 == nil }
            #expect(shipped > 0 && shipments.count { $0 == "not-reserved" } == 80 - shipped)
            #expect(
                try await scene.rows(
                    """
                    SELECT on_hand::text, reserved::text, (SELECT sum(quantity)::text FROM inventory_reservations),
                        version::text
                    FROM inventory
                    """) == ["\(100 - 2 * shipped) \(100 - 2 * shipped) \(100 - 2 * shipped) \(101 + shipped)"])
            #expect(
                try await scene.number(
                    """
                    SELECT count(*) FROM (
                        SELECT DISTINCT ON (payload ->> 'orderId') payload ->> 'orderId' AS order_id,
                            (payload ->> 'reservedForOrder')::bigint AS quantity
                        FROM outbox WHERE payload ->> 'orderId' IS NOT NULL ORDER BY 1, sequence DESC) AS told
                    FULL JOIN inventory_reservations AS r USING (order_id)
                    WHERE coalesce(told.quantity, 0) <> coalesce(r.quantity, 0)
                    """) == 0)
        }
    }
}

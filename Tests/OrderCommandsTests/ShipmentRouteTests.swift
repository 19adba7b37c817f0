import CommandKit
import Commands
import Events
import OrderCommands
import Orders
import Postgres
import Testing

/// Tests requests about shipments: their answers, and the rows that they write.
@Suite struct ShipmentRouteTests {
    /// Runs a body with two confirmed orders and an open one.
    private static func with(_ body: (CommandScene) async throws -> Void) async throws {
        try await OrderScene.with { scene in
            for id in ["o1", "o2", "open"] {
                #expect(try await scene.send(scene.create(id, [OrderRulesTests.line("p", 1, 5_000)])) == "1")
            }
            for id in ["o1", "o2"] { #expect(try await scene.send(ConfirmOrder(orderID: id)) == "2") }
            try await body(scene)
        }
    }

    private static func parcel(_ order: String = "o1", _ number: String = "T1", more: String = "") -> String {
        #"{"orderId":"\#(order)","carrier":"DHL","trackingNumber":"\#(number)"\#(more)}"#
    }

    @Test func anOrderIsShippedInSeveralParcels() async throws {
        try await Self.with { scene in
            var paths: [String] = []
            for number in ["T1", "T2"] {
                let made = try await scene.call("POST", "/v1/shipments", Self.parcel("o1", number))
                #expect(made.status == 201 && made["ETag"] == "\"1\"", "\(made.text)")
                #expect(made.text.contains(#""orderId":"o1","status":"created","carrier":"DHL","#))
                let path = try #require(made["Location"])
                #expect(path.hasPrefix("/v1/shipments/shp-"))
                #expect(try await scene.call("GET", path).body == made.body)
                paths.append(path)
            }
            let stale = try await scene.call("POST", paths[0] + "/deliver", "", ["if-match": "\"2\""])
            #expect(stale.status == 412 && stale.text.contains(#""currentVersion":1"#))
            let arrived = try await scene.call("POST", paths[0] + "/deliver", "{}", ["if-match": "\"1\""])
            #expect(arrived.status == 200 && arrived.text.contains(#""status":"delivered""#), "\(arrived.text)")
            let again = try await scene.call("POST", paths[0] + "/deliver")
            #expect(again.status == 409 && again.type == "shipment-delivered")
            let cancelled = try await scene.call("POST", "/v1/orders/o1/cancel", #"{"reason":"r","cancelledBy":"b"}"#)
            #expect(cancelled.status == 409 && cancelled.type == "order-shipped")
            #expect(
                try await scene.rows(
                    """
                    SELECT tracking_number, status, version::text, (delivered_at = updated_at)::text,
                        (last_event_id = (SELECT event_id FROM outbox
                            WHERE aggregate_id = shipment_id ORDER BY sequence DESC LIMIT 1))::text
                    FROM shipments ORDER BY 1
                    """) == ["T1 delivered 2 true true", "T2 created 1 ∅ true"])
            // The events have the form that the read models of orders process.
            let events = try await scene.rows(
                """
                SELECT event_type, sequence::text, payload ->> 'orderId' FROM outbox
                WHERE aggregate_type = 'Shipment' ORDER BY id
                """)
            #expect(events == ["ShipmentCreated 1 o1", "ShipmentCreated 1 o1", "ShipmentDelivered 2 o1"])
        }
    }

    /// Invalid requests, with the status and the last part of the problem's type.
    static let wrong: [(body: String, status: Int, type: String)] = [
        ("", 400, "invalid-json"), ("[", 400, "invalid-json"), ("[]", 422, "wrong-type"), ("{}", 422, "missing-field"),
        (parcel(more: #","weight":1"#), 422, "unknown-field"), (parcel(more: #","carrier":"UPS""#), 422, "wrong-type"),
        (parcel().replacing(#""DHL""#, with: "1"), 422, "wrong-type"), (parcel("o1", ""), 422, "invalid-value"),
        (parcel("o1", String(repeating: "t", count: 501)), 422, "invalid-value"),
        (parcel(""), 422, "invalid-value"), (parcel(#"\u0000"#), 422, "invalid-value"),
        (parcel("nobody"), 422, "shipment-without-order"), (parcel("open"), 409, "order-not-confirmed"),
        (parcel("o2"), 409, "order-not-confirmed"),
    ]

    @Test func whatIsWrongIsToldByItsOwnProblemAndNothingIsWritten() async throws {
        try await Self.with { scene in
            #expect(try await scene.send(CancelOrder(orderID: "o2", reason: "r", cancelledBy: "b")) == "3")
            let before = try await scene.number("SELECT count(*) FROM outbox")
            for (body, status, type) in Self.wrong {
                let answer = try await scene.call("POST", "/v1/shipments", body)
                #expect(answer.status == status && answer.type == type, "\(body): \(answer.text)")
            }
            let missing = try await scene.call("POST", "/v1/shipments/none/deliver")
            #expect(missing.status == 404 && missing.type == "unknown-shipment")
            #expect(try await scene.call("GET", "/v1/shipments/none").status == 404)
            #expect(try await scene.call("POST", "/v1/shipments/none/deliver", #"{"a":1}"#).type == "unknown-field")
            #expect(try await scene.number("SELECT count(*) FROM outbox") == before)
            #expect(try await scene.number("SELECT count(*) FROM shipments") == 0)
        }
    }

    @Test func aKeyShipsOneParcel() async throws {
        try await Self.with { scene in
            let key = ["idempotency-key": "k"]
            let first = try await scene.call("POST", "/v1/shipments", Self.parcel(), key)
            let again = try await scene.call("POST", "/v1/shipments", Self.parcel(), key)
            #expect(first.status == 201 && again.status == 201 && again.body == first.body)
            #expect(again["Idempotency-Replayed"] == "true" && again["Location"] == first["Location"])
            let other = try await scene.call("POST", "/v1/shipments", Self.parcel("o2"), key)
            #expect(other.type == "idempotency-key-reused")
            #expect(try await scene.number("SELECT count(*) FROM shipments") == 1)
        }
    }

    @Test func anotherTenantShipsAndSeesNothing() async throws {
        try await Self.with { scene in
            let tenant = CommandRequest(metadata: EventMetadata(tenantID: "t"))
            #expect(try await scene.send(scene.create("ot", [OrderRulesTests.line("p", 1, 5_000)]), tenant) == "1")
            #expect(try await scene.send(ConfirmOrder(orderID: "ot"), tenant) == "2")
            let foreign = try await scene.call("POST", "/v1/shipments", Self.parcel("ot"), tenant: "u")
            #expect(foreign.status == 422 && foreign.type == "shipment-without-order")
            let made = try await scene.call("POST", "/v1/shipments", Self.parcel("ot"), tenant: "t")
            let path = try #require(made["Location"])
            for tenant in [nil, "u"] {
                #expect(try await scene.call("GET", path, tenant: tenant).status == 404)
                #expect(try await scene.call("POST", path + "/deliver", tenant: tenant).type == "unknown-shipment")
            }
            // A shipment has the tenant of its order's row.
            #expect(try await scene.call("POST", path + "/deliver", tenant: "t").status == 200)
        }
    }

    @Test func theDescriptionHasEveryRoute() throws {
        #expect(try ShipmentCommands.domain.undescribed() == [])
    }

    /// Orders are shipped and cancelled at once, in one transaction and in several. Only one of the two succeeds for
    /// each order.
    @Test func anOrderIsShippedOrCancelledAndNeverBoth() async throws {
        try await OrderScene.with { scene in
            let orders = 60
            for number in 0..<orders {
                let line = OrderRulesTests.line("p", 1, 5_000)
                #expect(try await scene.send(scene.create("o\(number)", [line])) == "1")
                #expect(try await scene.send(ConfirmOrder(orderID: "o\(number)")) == "2")
            }
            let answers = try await scene.race(2 * orders) { number, bus in
                let order = "o\(number / 2)"
                if (number + number / 2).isMultiple(of: 2) {
                    return try await bus.send(CancelOrder(orderID: order, reason: "r", cancelledBy: "b"))
                }
                let parcel = ShipmentCreated(orderID: order, carrier: "DHL", trackingNumber: "T")
                return try await bus.send(CreateShipment(shipmentID: "s\(number)", parcel: parcel))
            }
            let refused = answers.compactMap(\.self)
            #expect(refused.count == orders && Set(refused).isSubset(of: ["order-shipped", "order-not-confirmed"]))
            let both = try await scene.number(
                """
                SELECT count(*) FROM orders AS o WHERE
                    (o.status = 'cancelled') = EXISTS (SELECT FROM shipments AS s WHERE s.order_id = o.order_id)
                """)
            #expect(both == 0)
        }
    }
}

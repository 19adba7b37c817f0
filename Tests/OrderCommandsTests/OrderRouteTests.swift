import CommandKit
import Commands
import Events
import OrderCommands
import Orders
import Postgres
import TestKit
import Testing

/// Tests requests as a server passes them to the routes, and their answers.
@Suite struct OrderRouteTests {
    private static let address = #"{"name":"A","street":"B","city":"C","postalCode":"D","country":"DE"}"#

    private static func body(_ items: String, customer: String = "c1", more: String = "") -> String {
        """
        {"customerId":"\(customer)","currency":"EUR","items":[\(items)],"shippingAddress":\(address)\(more)}
        """
    }

    private static let item = #"{"productId":"p","name":"Pen","quantity":2,"unitPrice":"12.50"}"#

    @Test func aNewOrderIsAnsweredWithItsPlaceVersionAndLinks() async throws {
        try await OrderScene.with { scene in
            let made = try await scene.call("POST", "/v1/orders", Self.body(Self.item))
            #expect(made.status == 201)
            let location = try #require(made["Location"])
            #expect(location.hasPrefix("/v1/orders/ord-") && made["ETag"] == "\"1\"")
            #expect(made.text.contains(#""status":"created","itemCount":1,"totalAmount":"25.00","currency":"EUR""#))
            #expect(
                made.text.hasSuffix(
                    #""_links":{"self":{"href":"\#(location)"},"status":{"href":"\#(location)?min_version=1"}}}"#))
            let read = try await scene.call("GET", location)
            #expect(read.status == 200 && read.body == made.body)

            let added = try await scene.call(
                "POST", location + "/items", #"{"productId":"q","name":"Ink","quantity":1,"unitPrice":5}"#,
                ["if-match": "\"1\""])
            #expect(added.status == 200 && added["ETag"] == "\"2\"")
            let stale = try await scene.call("DELETE", location + "/items/q", "", ["if-match": "\"1\""])
            #expect(stale.status == 412 && stale.text.contains("/problems/version-mismatch"))
            #expect(stale.text.contains(#""currentVersion":2"#))
            #expect(try await scene.call("DELETE", location + "/items/q").status == 200)
            #expect(try await scene.call("POST", location + "/confirm", "{}").status == 200)
            let late = try await scene.call("DELETE", location + "/items/p")
            #expect(late.status == 409 && late.type == "order-not-open")
            let cancelled = try await scene.call(
                "POST", location + "/cancel", #"{"reason":"twice","cancelledBy":"me"}"#)
            #expect(cancelled.text.contains(#""cancellation":{"reason":"twice","by":"me""#))
            let stored = try await scene.number(
                "SELECT count(*) FROM outbox WHERE metadata ->> 'source' = 'command-service'")
            #expect(stored == 5)
        }
    }

    @Test func aKeyIsAnsweredTheSameAndOnlyWithTheSameRequest() async throws {
        try await OrderScene.with { scene in
            let key = ["idempotency-key": "\"k-1\""]
            let first = try await scene.call("POST", "/v1/orders", Self.body(Self.item), key)
            let again = try await scene.call("POST", "/v1/orders", Self.body(Self.item), key)
            #expect(again.body == first.body && again.status == 201 && again["Location"] == first["Location"])
            #expect(first["Idempotency-Replayed"] == nil && again["Idempotency-Replayed"] == "true")
            let other = try await scene.call("POST", "/v1/orders", Self.body(Self.item, customer: "c2"), key)
            #expect(other.status == 422 && other.type == "idempotency-key-reused")
            let empty = try await scene.call("POST", "/v1/orders", Self.body(Self.item), ["idempotency-key": ""])
            #expect(empty.status == 400 && empty.type == "invalid-idempotency-key")
            #expect(try await scene.number("SELECT count(*) FROM orders") == 1)
        }
    }

    /// Invalid requests, with the status and the last part of the problem's type.
    static let wrong: [(body: String, status: Int, type: String)] = [
        ("", 400, "invalid-json"), ("{", 400, "invalid-json"), ("[]", 422, "wrong-type"),
        ("{}", 422, "missing-field"), (body(item, more: #","colour":"red""#), 422, "unknown-field"),
        (body(item, more: #","customerId":"c1""#), 422, "wrong-type"),
        (body(""), 422, "no-items"), (body(item + "," + item), 422, "duplicate-product"),
        (body(item, customer: "nobody"), 422, "unknown-customer"), (body(item, customer: ""), 422, "invalid-value"),
        (body(item.replacing("2", with: "0", maxReplacements: 1)), 422, "invalid-quantity"),
        (body(item.replacing("2", with: "-1", maxReplacements: 1)), 422, "invalid-quantity"),
        (body(item.replacing("2", with: "9000000000", maxReplacements: 1)), 422, "invalid-quantity"),
        (body(item.replacing("2", with: "1.5", maxReplacements: 1)), 422, "wrong-type"),
        (body(item.replacing("2", with: #""2""#, maxReplacements: 1)), 422, "wrong-type"),
        (body(item.replacing(#""12.50""#, with: "0.1000000000000000055")), 422, "invalid-value"),
        (body(item.replacing("12.50", with: "12.505")), 422, "invalid-price"),
        (body(item.replacing("12.50", with: "-1")), 422, "invalid-price"),
        (body(item.replacing("12.50", with: "much")), 422, "invalid-value"),
        (body(item.replacing("Pen", with: #"\u0000"#)), 422, "invalid-value"),
        (body(item).replacing("EUR", with: "euro"), 422, "unknown-currency"),
        (body(item).replacing("EUR", with: "XXX"), 422, "unknown-currency"),
    ]

    @Test func whatIsWrongIsToldByItsOwnProblemAndNothingIsWritten() async throws {
        try await OrderScene.with { scene in
            for (body, status, type) in Self.wrong {
                let answer = try await scene.call("POST", "/v1/orders", body, ["idempotency-key": "k"])
                #expect(answer.status == status && answer.type == type, "\(body): \(answer.text)")
                #expect(answer["Content-Type"] == "application/problem+json")
                try await scene.connection.execute(script: "DELETE FROM command_answers")
            }
            let xml = try await scene.call("POST", "/v1/orders", "<a/>", ["content-type": "text/xml"])
            #expect(xml.status == 415)
            let weak = try await scene.call("POST", "/v1/orders/o/confirm", "", ["if-match": "W/\"1\""])
            #expect(weak.status == 400 && weak.type == "invalid-if-match")
            let missing = try await scene.call("POST", "/v1/orders/o/confirm")
            #expect(missing.status == 404 && missing.type == "unknown-order")
            #expect(try await scene.call("GET", "/v1/orders/o").status == 404)
            let filled = try await scene.call("POST", "/v1/orders/o/confirm", #"{"a":1}"#)
            #expect(filled.type == "unknown-field")
            for table in ["orders", "order_items", "outbox"] {
                let rows = try await scene.number("SELECT count(*) FROM \(table)")
                #expect(rows == 0, "\(table)")
            }
        }
    }

    @Test func anotherTenantSeesNothing() async throws {
        try await OrderScene.with { scene in
            let made = try await scene.call("POST", "/v1/orders", Self.body(Self.item), tenant: "t")
            let location = try #require(made["Location"])
            for tenant in [nil, "u"] {
                #expect(try await scene.call("GET", location, tenant: tenant).status == 404)
                for (method, path, body) in [
                    ("POST", "/items", Self.item), ("DELETE", "/items/p", ""), ("POST", "/confirm", ""),
                    ("POST", "/cancel", #"{"reason":"r","cancelledBy":"b"}"#),
                ] {
                    let answer = try await scene.call(method, location + path, body, tenant: tenant)
                    #expect(answer.status == 404 && answer.type == "unknown-order", "\(method) \(path)")
                    // Nor is its version told.
                    for version in ["\"1\"", "\"9\""] {
                        let match = ["if-match": version]
                        let hidden = try await scene.call(method, location + path, body, match, tenant: tenant)
                        let missing = try await scene.call(method, "/v1/orders/none" + path, body, match)
                        #expect(hidden.status == missing.status && hidden.type == missing.type)
                        #expect(hidden.text.contains(#""currentVersion":0"#), "\(hidden.text)")
                    }
                }
            }
            #expect(try await scene.call("GET", location, tenant: "t").status == 200)
            #expect(try await scene.number("SELECT count(*) FROM outbox") == 1)
        }
    }

    @Test func theDescriptionHasEveryRoute() throws {
        #expect(try OrderCommands.domain(OrderPolicy()).undescribed() == [])
    }
}

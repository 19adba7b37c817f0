import CommandKit
import Commands
import Events
import Postgres
import ProductCommands
import Testing

/// Tests requests about products: their answers, and the rows that they write.
@Suite struct ProductRouteTests {
    private static func with(_ body: (CommandScene) async throws -> Void) async throws {
        try await CommandScene.with([ProductCommands.domain(.standard)], body)
    }

    private static func product(_ price: String = #""3.50""#, more: String = "") -> String {
        #"{"name":"Cup","price":\#(price),"currency":"EUR"\#(more)}"#
    }

    @Test func aProductsWayFromCreationToRetirement() async throws {
        try await Self.with { scene in
            let more = #","description":"For tea","category":"Kitchen","tags":["tea","white"],"imageUrl":"/cup.webp""#
            let made = try await scene.call("POST", "/v1/products", Self.product(more: more))
            #expect(made.status == 201 && made["ETag"] == "\"1\"", "\(made.text)")
            #expect(made.text.contains(#""status":"listed","name":"Cup","description":"For tea","#))
            let path = try #require(made["Location"])
            #expect(path.hasPrefix("/v1/products/prd-"))
            #expect(try await scene.call("GET", path).body == made.body)
            let priced = try await scene.call(
                "POST", path + "/price", #"{"price":"4","currency":"USD"}"#, ["if-match": "\"1\""])
            #expect(priced.status == 200 && priced.text.contains(#""price":"4","currency":"USD""#))
            let stale = try await scene.call("POST", path + "/retire", "", ["if-match": "\"1\""])
            #expect(stale.status == 412 && stale.text.contains(#""currentVersion":2"#))
            // The request replaces all details and removes those that it does not contain.
            let changed = try await scene.call("POST", path + "/details", #"{"name":"Mug","tags":["tea"]}"#)
            #expect(changed.text.contains(#""name":"Mug","tags":["tea"],"price""#))
            let same = try await scene.call("POST", path + "/details", #"{"name":"Mug","tags":["tea"]}"#)
            #expect(same.body == changed.body && same["ETag"] == "\"3\"")
            let rated = try await scene.call("POST", path + "/ratings", #"{"rating":4}"#)
            #expect(rated.status == 200 && rated["ETag"] == "\"4\"", "\(rated.text)")
            for (body, type) in [
                (#"{"rating":6}"#, "invalid-rating"), (#"{"rating":9000000000}"#, "invalid-rating"),
                (#"{"rating":"4"}"#, "wrong-type"), ("{}", "missing-field"),
            ] {
                let wrong = try await scene.call("POST", path + "/ratings", body)
                #expect(wrong.status == 422 && wrong.type == type, "\(body)")
            }
            #expect(try await scene.call("POST", path + "/retire", "{}").text.contains(#""status":"retired""#))
            for (action, body) in [
                ("details", #"{"name":"Cup"}"#), ("price", #"{"price":1,"currency":"EUR"}"#), ("retire", ""),
            ] {
                let late = try await scene.call("POST", path + "/" + action, body)
                #expect(late.status == 409 && late.type == "product-retired", "\(action)")
            }
            // The events have the form that projections/product-search and projections/customer-orders read.
            #expect(
                try await scene.rows(
                    """
                    SELECT aggregate_type, event_type, sequence::text, payload ->> 'name', payload ->> 'price',
                        payload ->> 'currency', payload ->> 'imageUrl', payload -> 'tags' ->> 0, payload ->> 'rating' FROM outbox ORDER BY id
                    """) == [
                        "Product ProductCreated 1 Cup 3.50 EUR /cup.webp tea ∅",
                        "Product ProductPriceChanged 2 ∅ 4 USD ∅ ∅ ∅",
                        "Product ProductChanged 3 Mug ∅ ∅ ∅ tea ∅", "Product ProductRated 4 ∅ ∅ ∅ ∅ ∅ 4",
                        "Product ProductRemoved 5 ∅ ∅ ∅ ∅ ∅ ∅",
                    ])
            #expect(
                try await scene.rows(
                    """
                    SELECT status, version::text, price::text, details ->> 'name', (last_event_id = (
                        SELECT event_id FROM outbox ORDER BY id DESC LIMIT 1))::text FROM products
                    """) == ["retired 5 4 Mug true"])
        }
    }

    /// Invalid requests, with the status and the last part of the problem's type.
    static let wrong: [(body: String, status: Int, type: String)] = [
        ("", 400, "invalid-json"), ("{", 400, "invalid-json"), ("[]", 422, "wrong-type"), ("{}", 422, "missing-field"),
        (#"{"name":"Cup"}"#, 422, "missing-field"), (product(more: #","colour":"red""#), 422, "unknown-field"),
        (product(more: #","name":"Mug""#), 422, "wrong-type"), (product(more: #","tags":"tea""#), 422, "wrong-type"),
        (product(more: #","tags":[1]"#), 422, "wrong-type"), (product(more: #","tags":[""]"#), 422, "invalid-value"),
        (product(more: #","tags":["t"\#(String(repeating: #","t""#, count: 50))]"#), 422, "too-many-tags"),
        (product().replacing("Cup", with: ""), 422, "invalid-value"),
        (product().replacing("Cup", with: #"\u0000"#), 422, "invalid-value"),
        (product("-1"), 422, "invalid-price"), (product("3.505"), 422, "invalid-price"),
        (product("0.1000000000000000055"), 422, "invalid-value"), (product("1e15"), 422, "invalid-value"),
        (product(#""cheap""#), 422, "invalid-value"), (product("true"), 422, "wrong-type"),
        (product().replacing("EUR", with: "euro"), 422, "unknown-currency"),
        (product().replacing("EUR", with: "XXX"), 422, "unknown-currency"),
        (product("1.5").replacing("EUR", with: "JPY"), 422, "invalid-price"),
    ]

    @Test func whatIsWrongIsToldByItsOwnProblemAndNothingIsWritten() async throws {
        try await Self.with { scene in
            for (body, status, type) in Self.wrong {
                let answer = try await scene.call("POST", "/v1/products", body)
                #expect(answer.status == status && answer.type == type, "\(body): \(answer.text)")
            }
            for (action, body) in [
                ("details", #"{"name":"Cup"}"#), ("price", #"{"price":1,"currency":"EUR"}"#), ("retire", ""),
            ] {
                let missing = try await scene.call("POST", "/v1/products/none/" + action, body)
                #expect(missing.status == 404 && missing.type == "unknown-product", "\(action)")
                let named = try await scene.call("POST", "/v1/products/none/" + action, #"{"productId":"p"}"#)
                #expect(named.type == "unknown-field", "\(action)")
            }
            // A separate command changes the price.
            let priced = try await scene.call("POST", "/v1/products/none/details", Self.product())
            #expect(priced.type == "unknown-field")
            #expect(try await scene.call("GET", "/v1/products/none").status == 404)
            for table in ["outbox", "products"] {
                #expect(try await scene.number("SELECT count(*) FROM \(table)") == 0, "\(table)")
            }
        }
    }

    @Test func aKeyCreatesOneProduct() async throws {
        try await Self.with { scene in
            let key = ["idempotency-key": "k"]
            let first = try await scene.call("POST", "/v1/products", Self.product(), key)
            let again = try await scene.call("POST", "/v1/products", Self.product(), key)
            #expect(first.status == 201 && again.body == first.body && again["Idempotency-Replayed"] == "true")
            let other = try await scene.call("POST", "/v1/products", Self.product("4"), key)
            #expect(other.type == "idempotency-key-reused")
            #expect(try await scene.number("SELECT count(*) FROM products") == 1)
        }
    }

    @Test func anotherTenantSeesAndChangesNothing() async throws {
        try await Self.with { scene in
            let made = try await scene.call("POST", "/v1/products", Self.product(), tenant: "t")
            let path = try #require(made["Location"])
            for tenant in [nil, "u"] {
                #expect(try await scene.call("GET", path, tenant: tenant).status == 404)
                for (action, body) in [
                    ("details", #"{"name":"Mug"}"#), ("price", #"{"price":1,"currency":"EUR"}"#),
                    ("ratings", #"{"rating":5}"#), ("retire", ""),
                ] {
                    let answer = try await scene.call("POST", path + "/" + action, body, tenant: tenant)
                    #expect(answer.status == 404 && answer.type == "unknown-product", "\(action): \(answer.text)")
                }
            }
            #expect(try await scene.call("POST", path + "/retire", tenant: "t").status == 200)
        }
    }

    @Test func theDescriptionHasEveryRoute() throws {
        #expect(try ProductCommands.domain(.standard).undescribed() == [])
    }
}

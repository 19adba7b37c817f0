import CommandKit
import Commands
import Customers
import Events
import OrderCommands
import Orders
import Postgres
import Testing

/// Tests requests about customers: their answers, the rows that they write, and the effect on orders.
@Suite struct CustomerRouteTests {
    private static func with(_ body: (CommandScene) async throws -> Void) async throws {
        try await CommandScene.with(
            [OrderCommands.domain(OrderPolicy()), CustomerCommands.domain],
            script: "INSERT INTO customers VALUES ('c1', 'Ben', 'ben@example.org', 'DE')", body)
    }

    private static func details(
        _ name: String = "Ada", _ email: String = "ada@example.org", more: String = ""
    ) -> String {
        #"{"name":"\#(name)","email":"\#(email)","country":"DE"\#(more)}"#
    }

    @Test func aCustomersWayFromRegistrationToOblivion() async throws {
        try await Self.with { scene in
            let made = try await scene.call("POST", "/v1/customers", Self.details())
            #expect(made.status == 201 && made["ETag"] == "\"1\"", "\(made.text)")
            #expect(made.text.contains(#""status":"registered","name":"Ada","email":"ada@example.org","#))
            let path = try #require(made["Location"])
            let id = try #require(path.split(separator: "/").last.map(String.init))
            #expect(id.hasPrefix("cus-"))
            #expect(try await scene.call("GET", path).body == made.body)
            let line = OrderRulesTests.line("p", 1, 5_000)
            #expect(try await scene.send(scene.create("o1", customer: id, [line])) == "1")
            let changed = try await scene.call(
                "POST", path + "/details", Self.details("Ada L."), ["if-match": "\"1\""])
            #expect(changed.status == 200 && changed.text.contains(#""name":"Ada L.""#))
            let same = try await scene.call("POST", path + "/details", Self.details("Ada L."))
            #expect(same.body == changed.body)
            let stale = try await scene.call("POST", path + "/forget", "", ["if-match": "\"1\""])
            #expect(stale.status == 412 && stale.text.contains(#""currentVersion":2"#))
            let forgotten = try await scene.call("POST", path + "/forget", "{}")
            #expect(forgotten.text.contains(#""status":"forgotten","name":"","email":"","country":"","#))
            let late = try await scene.call("POST", path + "/details", Self.details())
            #expect(late.status == 409 && late.type == "customer-forgotten")
            // The customer's orders stay, but no new ones are possible.
            #expect(try await scene.send(ConfirmOrder(orderID: "o1")) == "2")
            #expect(try await scene.send(scene.create("o2", customer: id, [line])) == "unknown-customer")
            // The events have the form that projections/customer-orders reads.
            #expect(
                try await scene.rows(
                    """
                    SELECT event_type, sequence::text, payload ->> 'name', payload ->> 'email' FROM outbox
                    WHERE aggregate_type = 'Customer' ORDER BY id
                    """) == [
                        "CustomerRegistered 1 Ada ada@example.org", "CustomerChanged 2 Ada L. ada@example.org",
                        "CustomerForgotten 3 ∅ ∅",
                    ])
        }
    }

    /// A customer that another program wrote has no version yet.
    @Test func aCustomerOfTheShopIsChangedAsWell() async throws {
        try await Self.with { scene in
            let read = try await scene.call("GET", "/v1/customers/c1")
            #expect(read.text.contains(#""updatedAt":null,"version":0,"lastEventId":null"#), "\(read.text)")
            let changed = try await scene.call("POST", "/v1/customers/c1/details", Self.details("Ben"))
            #expect(changed.status == 200 && changed["ETag"] == "\"1\"", "\(changed.text)")
            #expect(try await scene.rows("SELECT email, version::text FROM customers") == ["ada@example.org 1"])
        }
    }

    /// Invalid requests, with the status and the last part of the problem's type.
    static let wrong: [(body: String, status: Int, type: String)] = [
        ("", 400, "invalid-json"), ("{", 400, "invalid-json"), ("[]", 422, "wrong-type"), ("{}", 422, "missing-field"),
        (#"{"name":"Ada"}"#, 422, "missing-field"), (details(more: #","age":3"#), 422, "unknown-field"),
        (details(more: #","name":"Ben""#), 422, "wrong-type"), (details(""), 422, "invalid-value"),
        (details().replacing(#""Ada""#, with: "1"), 422, "wrong-type"), (details(#"\u0000"#), 422, "invalid-value"),
        (details(String(repeating: "a", count: 501)), 422, "invalid-value"),
        (details("Ada", "ada"), 422, "invalid-email"),
        (details("Ada", "a@b c"), 422, "invalid-email"), (details("Ada", "@"), 422, "invalid-email"),
    ]

    @Test func whatIsWrongIsToldByItsOwnProblemAndNothingIsWritten() async throws {
        try await Self.with { scene in
            for (body, status, type) in Self.wrong {
                for path in ["/v1/customers", "/v1/customers/c1/details"] {
                    let answer = try await scene.call("POST", path, body)
                    #expect(answer.status == status && answer.type == type, "\(path) \(body): \(answer.text)")
                }
            }
            for (action, body) in [("details", Self.details()), ("forget", "")] {
                let missing = try await scene.call("POST", "/v1/customers/none/" + action, body)
                #expect(missing.status == 404 && missing.type == "no-such-customer", "\(action)")
            }
            #expect(try await scene.call("GET", "/v1/customers/none").status == 404)
            #expect(try await scene.call("POST", "/v1/customers/none/forget", #"{"a":1}"#).type == "unknown-field")
            #expect(try await scene.number("SELECT count(*) FROM outbox") == 0)
            #expect(try await scene.rows("SELECT name, version::text FROM customers") == ["Ben 0"])
        }
    }

    @Test func aKeyRegistersOneCustomer() async throws {
        try await Self.with { scene in
            let key = ["idempotency-key": "k"]
            let first = try await scene.call("POST", "/v1/customers", Self.details(), key)
            let again = try await scene.call("POST", "/v1/customers", Self.details(), key)
            #expect(first.status == 201 && again.body == first.body && again["Idempotency-Replayed"] == "true")
            let other = try await scene.call("POST", "/v1/customers", Self.details("Ben"), key)
            #expect(other.type == "idempotency-key-reused")
            #expect(try await scene.number("SELECT count(*) FROM customers") == 2)
        }
    }

    @Test func anotherTenantSeesAndOrdersNothing() async throws {
        try await Self.with { scene in
            let made = try await scene.call("POST", "/v1/customers", Self.details(), tenant: "t")
            let path = try #require(made["Location"])
            let id = try #require(path.split(separator: "/").last.map(String.init))
            let line = OrderRulesTests.line("p", 1, 5_000)
            for tenant in [nil, "u"] {
                #expect(try await scene.call("GET", path, tenant: tenant).status == 404)
                #expect(try await scene.call("POST", path + "/forget", tenant: tenant).type == "no-such-customer")
                let request = CommandRequest(metadata: EventMetadata(tenantID: tenant))
                let order = scene.create("o", customer: id, [line])
                #expect(try await scene.send(order, request) == "unknown-customer")
            }
            let request = CommandRequest(metadata: EventMetadata(tenantID: "t"))
            #expect(try await scene.send(scene.create("o", customer: id, [line]), request) == "1")
            // The shop's customers have no tenant, so every tenant may order for them.
            #expect(try await scene.send(scene.create("o2", [line]), request) == "1")
        }
    }

    @Test func theDescriptionHasEveryRoute() throws {
        #expect(try CustomerCommands.domain.undescribed() == [])
    }

    /// Orders are created while their customer is forgotten, in one transaction and in several. Each of them is either
    /// created before that or refused.
    @Test func nobodyOrdersForAForgottenCustomer() async throws {
        try await Self.with { scene in
            let line = OrderRulesTests.line("p", 1, 5_000)
            let answers = try await scene.race(101) { number, bus in
                if number == 50 { return try await bus.send(ForgetCustomer(customerID: "c1")) }
                return try await bus.send(scene.create("o\(number)", [line]))
            }
            let refused = answers.compactMap(\.self)
            #expect(Set(refused).isSubset(of: ["unknown-customer"]))
            #expect(try await scene.number("SELECT count(*) FROM orders") == Int64(100 - refused.count))
            #expect(try await scene.send(scene.create("late", [line])) == "unknown-customer")
        }
    }
}

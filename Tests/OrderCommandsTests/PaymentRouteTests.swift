import CommandKit
import Commands
import Events
import OrderCommands
import Orders
import Postgres
import Testing

/// Tests requests about payments: their answers, and the rows that they write.
@Suite struct PaymentRouteTests {
    /// Runs a body with two confirmed orders and an open one, each of 50 euros.
    private static func with(_ body: (CommandScene) async throws -> Void) async throws {
        try await OrderScene.with { scene in
            for id in ["o1", "o2", "open"] {
                #expect(try await scene.send(scene.create(id, [OrderRulesTests.line("p", 1, 5_000)])) == "1")
            }
            for id in ["o1", "o2"] { #expect(try await scene.send(ConfirmOrder(orderID: id)) == "2") }
            try await body(scene)
        }
    }

    private static func authorization(_ amount: String = #""50.00""#, _ order: String = "o1") -> String {
        #"{"orderId":"\#(order)","amount":\#(amount),"currency":"EUR","method":"card"}"#
    }

    private static func money(_ amount: String) -> String { #"{"amount":"\#(amount)","currency":"EUR"}"# }

    private static func refund(_ amount: String) -> String {
        #"{"amount":"\#(amount)","currency":"EUR","reason":"returned"}"#
    }

    private static func authorize(_ scene: CommandScene, tenant: String? = nil) async throws -> String {
        let made = try await scene.call("POST", "/v1/payments", authorization(), tenant: tenant)
        return try #require(made["Location"], "\(made.text)")
    }

    @Test func aPaymentIsCapturedAndRefundedInParts() async throws {
        try await Self.with { scene in
            let made = try await scene.call("POST", "/v1/payments", Self.authorization())
            #expect(made.status == 201 && made["ETag"] == "\"1\"", "\(made.text)")
            #expect(made.text.contains(#""status":"authorized","amount":"50.00","currency":"EUR","method":"card","#))
            let path = try #require(made["Location"])
            #expect(path.hasPrefix("/v1/payments/pay-"))
            #expect(try await scene.call("GET", path).body == made.body)
            #expect(try await scene.call("POST", path + "/refund", Self.refund("1")).type == "payment-not-completed")
            #expect(try await scene.call("POST", path + "/capture", Self.money("50.01")).type == "capture-too-large")
            let stale = try await scene.call("POST", path + "/capture", Self.money("1"), ["if-match": "\"2\""])
            #expect(stale.status == 412 && stale.text.contains(#""currentVersion":1"#))
            let captured = try await scene.call("POST", path + "/capture", Self.money("40"), ["if-match": "\"1\""])
            #expect(captured.status == 200 && captured.text.contains(#""status":"completed","amount":"40","#))
            #expect(try await scene.call("POST", path + "/capture", Self.money("10")).type == "payment-completed")
            #expect(try await scene.call("POST", path + "/fail", #"{"reason":"r"}"#).type == "payment-completed")
            for (amount, status) in [("15.50", "partially_refunded"), ("24.50", "refunded")] {
                let refunded = try await scene.call("POST", path + "/refund", Self.refund(amount))
                #expect(refunded.status == 200 && refunded.text.contains(#""status":"\#(status)""#), "\(refunded.text)")
                #expect(try await scene.call("GET", path).body == refunded.body)
            }
            let more = try await scene.call("POST", path + "/refund", Self.refund("0.01"))
            #expect(more.status == 409 && more.type == "refund-too-large")
            #expect(
                try await scene.rows(
                    """
                    SELECT p.status, p.version::text, p.amount::text, p.refunded_amount::text, r.sequence::text,
                        r.amount::text, (r.event_id = o.event_id)::text
                    FROM payments AS p JOIN payment_refunds AS r USING (payment_id)
                    JOIN outbox AS o ON o.aggregate_id = p.payment_id AND o.sequence = r.sequence ORDER BY r.sequence
                    """) == ["refunded 4 40 40.00 3 15.50 true", "refunded 4 40 40.00 4 24.50 true"])
            // The events have the form that the read models of orders process.
            let events = try await scene.rows(
                """
                SELECT event_type, sequence::text, payload ->> 'orderId', payload ->> 'amount' FROM outbox
                WHERE aggregate_type = 'Payment' ORDER BY id
                """)
            #expect(
                events == [
                    "PaymentAuthorized 1 o1 50.00", "PaymentCompleted 2 o1 40", "PaymentRefunded 3 o1 15.50",
                    "PaymentRefunded 4 o1 24.50",
                ])
        }
    }

    @Test func afterAFailureThereIsNothing() async throws {
        try await Self.with { scene in
            let path = try await Self.authorize(scene)
            let failed = try await scene.call("POST", path + "/fail", #"{"reason":"declined"}"#)
            #expect(failed.text.contains(#""status":"failed""#) && failed.text.contains(#""failureReason":"declined""#))
            for (action, body) in [
                ("capture", Self.money("1")), ("refund", Self.refund("1")), ("fail", #"{"reason":"r"}"#),
            ] {
                let answer = try await scene.call("POST", path + "/" + action, body)
                #expect(answer.status == 409 && answer.type == "payment-failed", "\(action): \(answer.text)")
            }
            #expect(try await scene.number("SELECT count(*) FROM outbox WHERE aggregate_type = 'Payment'") == 2)
        }
    }

    /// Invalid requests, with the status and the last part of the problem's type.
    static let wrong: [(body: String, status: Int, type: String)] = [
        ("", 400, "invalid-json"), ("{]", 400, "invalid-json"), ("[]", 422, "wrong-type"), ("{}", 422, "missing-field"),
        (money("1"), 422, "missing-field"), (authorization().replacing("}", with: #","tip":1}"#), 422, "unknown-field"),
        (authorization().replacing("}", with: #","amount":1}"#), 422, "wrong-type"),
        (authorization("0"), 422, "invalid-amount"), (authorization("-1"), 422, "invalid-amount"),
        (authorization("1.005"), 422, "invalid-amount"), (authorization(#""0.001""#), 422, "invalid-amount"),
        (authorization("0.1000000000000000055"), 422, "invalid-value"),
        (authorization(#""much""#), 422, "invalid-value"),
        (authorization("1e15"), 422, "invalid-value"), (authorization("true"), 422, "wrong-type"),
        (authorization().replacing("EUR", with: "euro"), 422, "unknown-currency"),
        (authorization().replacing("EUR", with: "XXX"), 422, "currency-mismatch"),
        (authorization().replacing("EUR", with: "USD"), 422, "currency-mismatch"),
        (authorization().replacing(#""card""#, with: #""""#), 422, "invalid-value"),
        (authorization("1", ""), 422, "invalid-value"), (authorization("1", "nobody"), 422, "payment-without-order"),
        (authorization("1", "open"), 409, "order-not-confirmed"),
        (authorization("1", "o2"), 409, "order-not-confirmed"),
    ]

    @Test func whatIsWrongIsToldByItsOwnProblemAndNothingIsWritten() async throws {
        try await Self.with { scene in
            #expect(try await scene.send(CancelOrder(orderID: "o2", reason: "r", cancelledBy: "b")) == "3")
            let before = try await scene.number("SELECT count(*) FROM outbox")
            for (body, status, type) in Self.wrong {
                let answer = try await scene.call("POST", "/v1/payments", body)
                #expect(answer.status == status && answer.type == type, "\(body): \(answer.text)")
            }
            for (action, body) in [
                ("capture", Self.money("1")), ("refund", Self.refund("1")), ("fail", #"{"reason":"r"}"#),
            ] {
                let missing = try await scene.call("POST", "/v1/payments/none/" + action, body)
                #expect(missing.status == 404 && missing.type == "unknown-payment", "\(action)")
                let named = try await scene.call("POST", "/v1/payments/none/" + action, Self.authorization())
                #expect(named.type == "unknown-field", "\(action)")
            }
            #expect(try await scene.call("GET", "/v1/payments/none").status == 404)
            #expect(try await scene.number("SELECT count(*) FROM outbox") == before)
            #expect(try await scene.number("SELECT count(*) FROM payments") == 0)
        }
    }

    @Test func aKeyRefundsOnce() async throws {
        try await Self.with { scene in
            let path = try await Self.authorize(scene)
            #expect(try await scene.call("POST", path + "/capture", Self.money("50")).status == 200)
            let key = ["idempotency-key": "k"]
            let first = try await scene.call("POST", path + "/refund", Self.refund("20"), key)
            let again = try await scene.call("POST", path + "/refund", Self.refund("20"), key)
            #expect(first.status == 200 && again.body == first.body && again["Idempotency-Replayed"] == "true")
            #expect(
                try await scene.call("POST", path + "/refund", Self.refund("21"), key).type == "idempotency-key-reused")
            #expect(try await scene.number("SELECT count(*) FROM payment_refunds") == 1)
        }
    }

    @Test func anotherTenantPaysAndSeesNothing() async throws {
        try await Self.with { scene in
            let tenant = CommandRequest(metadata: EventMetadata(tenantID: "t"))
            #expect(try await scene.send(scene.create("ot", [OrderRulesTests.line("p", 1, 5_000)]), tenant) == "1")
            #expect(try await scene.send(ConfirmOrder(orderID: "ot"), tenant) == "2")
            let body = Self.authorization(#""50""#, "ot")
            #expect(try await scene.call("POST", "/v1/payments", body, tenant: "u").type == "payment-without-order")
            let made = try await scene.call("POST", "/v1/payments", body, tenant: "t")
            let path = try #require(made["Location"])
            for tenant in [nil, "u"] {
                #expect(try await scene.call("GET", path, tenant: tenant).status == 404)
                for (action, body) in [
                    ("capture", Self.money("1")), ("refund", Self.refund("1")), ("fail", #"{"reason":"r"}"#),
                ] {
                    let foreign = try await scene.call("POST", path + "/" + action, body, tenant: tenant)
                    #expect(foreign.status == 404 && foreign.type == "unknown-payment", "\(action)")
                }
            }
            // A payment has the tenant of its order's row.
            #expect(try await scene.call("POST", path + "/capture", Self.money("1"), tenant: "t").status == 200)
        }
    }

    /// Many refunds at once through two buses never exceed the captured amount.
    @Test func nobodyRefundsMoreThanWasCaptured() async throws {
        try await Self.with { scene in
            let euro = OrderRulesTests.euro
            let fifty = Money(OrderRulesTests.cents(5_000), euro)
            let payment = PaymentAuthorized(orderID: "o1", money: fifty, method: "card")
            #expect(try await scene.send(AuthorizePayment(paymentID: "p", payment: payment)) == "1")
            #expect(try await scene.send(CapturePayment(paymentID: "p", money: fifty)) == "2")
            let answers = try await scene.race(100) { _, bus in
                let money = Money(OrderRulesTests.cents(300), euro)
                return try await bus.send(RefundPayment(paymentID: "p", money: money, reason: "r"))
            }
            #expect(answers.count { $0 == nil } == 16 && answers.count { $0 == "refund-too-large" } == 84)
            #expect(
                try await scene.rows(
                    """
                    SELECT refunded_amount::text, version::text,
                        (SELECT sum(amount)::text FROM payment_refunds) FROM payments
                    """) == ["48.00 18 48.00"])
        }
    }

    @Test func theDescriptionHasEveryRoute() throws {
        #expect(try PaymentCommands.domain(.standard).undescribed() == [])
    }
}

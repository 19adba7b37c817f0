import HTTP
import Postgres
import StreamCore
import TestKit
import Testing

@testable import OrderQueries

/// Tests orders that are read from PostgreSQL.
@Suite struct OrderTests {
    @Test func tellsAnOrder() async throws {
        try await OrderScene.with { scene in
            try await scene.seed(3)
            let response = try await scene.order("order-003")
            #expect(response.status == 200)
            #expect(response.header("Content-Type") == "application/json")
            #expect(
                response.text.hasPrefix(
                    #"{"orderId":"order-003","customerId":"customer-3","status":"created","paymentStatus":"pending","#
                        + #""shipmentStatus":"pending","isOpen":true,"itemCount":2,"totalAmount":"3.50","currency":"EUR","#
                        + #""items":[{"productId":"p\"1","name":"Café","quantity":2,"unitPrice":"1.50"}],"#
                        + #""shippingAddress":{"#))
            #expect(response.text.contains(#""cancellation":null,"payment":null,"paymentFailure":null,"refund":null,"#))
            #expect(response.text.contains(#""createdAt":"2026-05-01T00:03:00.000000Z","confirmedAt":null,"#))
            #expect(response.text.hasSuffix(#""freshness":"read-model"}"#))
            let early = try await scene.order("early").text
            #expect(early.contains(#""status":"incomplete""#) && early.contains(#""items":[],"shippingAddress":null"#))
            let payment = #""payment":{"paymentId":"pay","amount":"3.00","currency":"EUR","method":"card","at":"#
            #expect(early.contains(payment))
        }
    }

    @Test func knowsWhatAClientHas() async throws {
        try await OrderScene.with { scene in
            try await scene.seed(2)
            let tag = try #require(try await scene.order("order-001").header("ETag"))
            let same = try await scene.order("order-001", headers: [("If-None-Match", "\"x\", \(tag)")])
            #expect(same.status == 304 && same.header("ETag") == tag)
            if case .none = same.body {} else { Issue.record("a 304 has no body") }
            // A payment does not change the version, but it changes the representation.
            try await scene.execute(
                """
                UPDATE order_summary_rows SET paid = ROW('2026-05-01', gen_random_uuid(), 'p', 1, 'EUR', 'card')
                WHERE order_id = 'order-001'
                """)
            let other = try await scene.order("order-001", headers: [("If-None-Match", tag)])
            #expect(other.status == 200 && other.header("ETag") != tag)
        }
    }

    @Test func refusesWhatIsNoOrder() async throws {
        try await OrderScene.with { scene in
            await expectProblem("/problems/unknown-order", 404) { try await scene.order("nobody") }
            await expectProblem("/problems/unknown-order", 404) { try await scene.order("' OR 1=1; --") }
            for id in ["", "a\u{0}", String(repeating: "x", count: 300)] {
                await expectProblem("/problems/invalid-parameter", 400) { try await scene.order(id) }
            }
            for query in [("min_version", "0"), ("min_version", "1 OR 1=1"), ("version", "1")] {
                await expectProblem("/problems/invalid-parameter", 400) { try await scene.order("x", [query]) }
            }
        }
    }

    // MARK: waiting

    @Test func waitsForAVersion() async throws {
        try await OrderScene.with { scene in
            try await scene.seed(1)
            await expectProblem("/problems/read-model-behind", 503) {
                try await scene.order("order-001", [("min_version", "2")])
            }
            async let waiting = scene.order("order-001", [("min_version", "2")], headers: [("Prefer", "wait=60")])
            async let created = scene.order("order-9", [("min_version", "1")], headers: [("Prefer", "wait=999")])
            try await scene.execute(
                """
                UPDATE order_summary_rows SET version = 2 WHERE order_id = 'order-001';
                INSERT INTO order_summary_rows (order_id, version, updated_at, last_event_id)
                VALUES ('order-9', 4, now(), gen_random_uuid());
                """)
            let (first, second) = try await (waiting, created)
            #expect(first.text.contains(#""version":2,"#))
            #expect(first.header("Preference-Applied") == "wait=60")
            #expect(second.text.contains(#""version":4,"#))
            #expect(second.header("Preference-Applied") == "wait=90", "the service limits the wait")
        }
    }

    @Test func givesUpWhenTheTimeIsOver() async throws {
        try await OrderScene.with { scene in
            try await scene.seed(1)
            do {
                _ = try await scene.order("order-001", [("min_version", "7")], headers: [("Prefer", "wait=1")])
                Issue.record("there is no version 7")
            } catch let problem as Problem {
                #expect(problem.status == 503)
                #expect(problem.headers.contains { $0.name == "Retry-After" })
                let members = problem.members.map { "\($0.name)=\(String(decoding: $0.json, as: UTF8.self))" }
                #expect(members == ["currentVersion=1", "requestedVersion=7"])
            }
        }
    }

    /// The answer from the write model equals the later answer from the read model, and it names the write model as its
    /// source.
    @Test func fallsBackOnTheWriteModel() async throws {
        try await OrderScene.with(migrating: ["outbox", "orders"], fallsBack: true) { scene in
            try await scene.play(orders: 40)
            let connection = try await PostgresConnection.connect(scene.postgres)
            let rows = try await connection.execute("SELECT order_id, version FROM orders")
            await connection.close()
            var written: [String: String] = [:]
            for row in 0..<rows.rowCount {
                let id = try rows.string(row, 0)
                let text = try await scene.order(id, [("min_version", "\(try rows.int64(row, 1))")]).text
                #expect(text.hasSuffix(#""freshness":"write-model"}"#))
                written[id] = text
            }
            #expect(written.count == 40)
            await expectProblem("/problems/unknown-order", 404) { try await scene.order("nobody") }
            try await scene.project()
            for (id, text) in written {
                let read = try await scene.order(id).text
                let expected = text.replacing("\"write-model\"}", with: "\"read-model\"}")
                #expect(Self.withSortedLines(read) == Self.withSortedLines(expected))
            }
        }
    }

    /// The lines of an order have no defined order, so events and tables may contain them in different orders.
    private static func withSortedLines(_ order: String) -> String {
        let line = #/\{"productId":.*?"unitPrice":"[^"]*"\}/#
        let lines = order.matches(of: line).map { String($0.0) }.sorted()
        return order.replacing(line, with: "") + lines.joined()
    }

    // MARK: lists

    @Test(arguments: ["time", "-time", "amount", "-amount"])
    func pagesHoldEveryOrderOnce(_ sort: String) async throws {
        try await OrderScene.with { scene in
            try await scene.seed(100)
            for limit in [1, 10, 33, 200] where limit > 1 || sort == "amount" {
                let ids = try await scene.all([("sort", sort), ("limit", "\(limit)")])
                #expect(ids == Self.expected(100, sort).map(\.id))
            }
            let some = [("sort", sort), ("limit", "7"), ("customer", "customer-2"), ("status", "delivered")]
            let expected = Self.expected(100, sort).filter { $0.number % 5 == 2 && $0.number % 3 != 0 }
            #expect(try await scene.all(some) == expected.map(\.id))
            let ranges = [
                ("sort", sort), ("limit", "9"), ("min_amount", "2.5"), ("max_amount", "4.50"),
                ("from", "2026-05-01T00:10:00Z"), ("to", "2026-05-01T01:30:00Z"), ("status", "created"),
                ("status", "delivered"),
            ]
            let within = Self.expected(100, sort).filter {
                (2...4).contains($0.number % 7) && (10..<90).contains($0.number)
            }
            #expect(try await scene.all(ranges) == within.map(\.id))
            let total = try await scene.list(ranges + [("total", "true")]).text
            #expect(total.hasSuffix(#","total":\#(within.count)}"#))
        }
    }

    private static func expected(_ count: Int, _ sort: String) -> [(number: Int, id: String)] {
        let all = (1...count).map { number in
            (number: number, id: "order-" + String(repeating: "0", count: 3 - "\(number)".count) + "\(number)")
        }
        switch sort {
        case "time": return all
        case "-time": return all.reversed()
        case "amount": return all.sorted { ($0.number % 7, $0.id) < ($1.number % 7, $1.id) }
        default: return all.sorted { ($0.number % 7, $0.id) > ($1.number % 7, $1.id) }
        }
    }

    @Test func aCursorIsBoundToItsList() async throws {
        try await OrderScene.with { scene in
            try await scene.seed(30)
            let first = try await scene.list([("limit", "5"), ("status", "delivered")]).text
            let cursor = try #require(first.firstMatch(of: #/"next":"([^"]*)"/#).map { String($0.1) })
            let next = try await scene.list([("limit", "200"), ("status", "delivered"), ("cursor", cursor)]).text
            #expect(next.contains(#""next":null"#))
            for other in [[], [("status", "created")], [("status", "delivered"), ("sort", "time")]] {
                await expectProblem("/problems/invalid-parameter", 400) {
                    try await scene.list(other + [("cursor", cursor)])
                }
            }
        }
    }

    @Test func sqlInAParameterFindsNothing() async throws {
        try await OrderScene.with { scene in
            try await scene.seed(3)
            let sql = "x' OR customer_id IS NOT NULL; DROP VIEW order_summary; --"
            #expect(try await scene.list([("customer", sql)]).text == #"{"orders":[],"next":null}"#)
            #expect(try await scene.all([]).count == 3)
        }
    }

    @Test func sumsUpACustomer() async throws {
        try await OrderScene.with { scene in
            try await scene.execute(
                """
                INSERT INTO dashboard_customer_rows VALUES
                    ('c', 'EUR', 0, 3, 1, 10.50, 0, '2026-05-01T00:00:00Z'), ('c', 'EUR', 1, 1, 0, 1.00, 2, NULL),
                    ('c', 'USD', 0, 1, 0, 7, 0, NULL)
                """)
            func summary(_ id: String) async throws -> String {
                try await scene.orders.customerSummary(
                    HTTPRequest(path: "", parameters: [(name: "id", value: id)])
                ).text
            }
            #expect(
                try await summary("c")
                    == #"{"customerId":"c","totals":[{"currency":"EUR","orders":4,"cancelled":1,"spent":"11.50","#
                    + #""refunded":"2","lastOrderAt":"2026-05-01T00:00:00.000000Z"},"#
                    + #"{"currency":"USD","orders":1,"cancelled":0,"spent":"7","refunded":"0","lastOrderAt":null}]}"#)
            #expect(try await summary("d") == #"{"customerId":"d","totals":[]}"#)
        }
    }
}

/// Expects a problem of this type and status.
func expectProblem(
    _ type: String, _ status: Int, sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () async throws -> HTTPResponse
) async {
    do {
        let response = try await body()
        Issue.record("\(response.status) \(response.text)", sourceLocation: sourceLocation)
    } catch let problem as Problem {
        #expect(problem.type == type && problem.status == status, sourceLocation: sourceLocation)
        let mustRetry = status == 503 || status == 429
        #expect(!mustRetry || problem.headers.contains { $0.name == "Retry-After" }, sourceLocation: sourceLocation)
    } catch {
        Issue.record(error, sourceLocation: sourceLocation)
    }
}

import Foundation
import Glibc
import Postgres
import TestKit
import Testing

/// Runs the command service as a process and tests its answers and the effect of a kill.
@Suite struct CommandServiceTests {
    /// Runs a test with a service on a schema that contains two customers.
    private static func with(
        _ settings: [String: String] = [:], _ body: (Pipeline, RunningService) async throws -> Void
    ) async throws {
        try await Pipeline.with { pipeline in
            try await pipeline.execute(
                """
                INSERT INTO customers SELECT 'c' || n, 'name', 'mail', 'DE' FROM generate_series(1, 2) AS n
                """)
            let service = try await RunningService(pipeline.commandService(settings), serving: "commands")
            try await body(pipeline, service)
            try await service.process.stop()
        }
    }

    private static let address =
        #""shippingAddress":{"name":"A","street":"S 1","city":"B","postalCode":"1","country":"DE"}"#

    private static func order(_ price: String = "12.50", customer: String = "c1") -> String {
        """
        {"customerId":"\(customer)","currency":"EUR",\(address),\
        "items":[{"productId":"p1","name":"Cup","quantity":2,"unitPrice":"\(price)"}]}
        """
    }

    private static func id(_ answer: RunningService.Answer) throws -> String {
        try #require(answer.header("Location")?.split(separator: "/").last.map(String.init), "\(answer.body)")
    }

    /// A client follows the links of its own order. The write model shows the order immediately. The read model shows
    /// it after it has reached the version.
    @Test func aClientReadsWhatItHasWritten() async throws {
        try await Self.with { pipeline, commands in
            let queries = try await RunningService(pipeline.queryService(), serving: "queries")
            let daemons = try [pipeline.relay(), pipeline.projection()]
            let created = try await commands.post("/v1/orders", Self.order())
            #expect(created.status == 201 && created.header("ETag") == #""1""#, "\(created.body)")
            let path = try #require(created.header("Location"))
            #expect(try await commands.get(path).body == created.body)
            let added = try await commands.post(
                path + "/items", #"{"productId":"p2","name":"Pot","quantity":1,"unitPrice":20}"#,
                headers: ["If-Match": #""1""#])
            #expect(added.status == 200 && added.body.contains(#""totalAmount":"45.00""#), "\(added.body)")
            let confirmed = try await commands.post(path + "/confirm")
            #expect(confirmed.status == 200 && confirmed.body.contains(#""status":"confirmed""#))
            let status = try #require(
                confirmed.body.firstMatch(of: #/"status":\{"href":"([^"]*)"/#).map { String($0.1) })
            #expect(status == path + "?min_version=3")
            let read = try await queries.get(status, headers: ["Prefer": "wait=30"])
            #expect(read.status == 200 && read.body.contains(#""version":3"#), "\(read.status) \(read.body)")
            #expect(read.body.contains(#""totalAmount":"45.00""#) && read.body.contains(#""status":"confirmed""#))
            try await queries.process.stop()
            for daemon in daemons { try await daemon.stop() }
        }
    }

    @Test func eachRuleHasItsProblem() async throws {
        try await Self.with { pipeline, service in
            let path = "/v1/orders/" + (try Self.id(try await service.post("/v1/orders", Self.order("1.00"))))
            let refusals: [(String, String, String, Int, String)] = [
                ("POST", path + "/confirm", "", 409, "total-below-minimum"),
                ("POST", "/v1/orders/none/confirm", "", 404, "unknown-order"),
                ("POST", "/v1/orders", Self.order(customer: "c9"), 422, "unknown-customer"),
                ("POST", "/v1/orders", Self.order("1.001"), 422, "invalid-price"),
                ("POST", "/v1/orders", Self.order("-1"), 422, "invalid-price"),
                ("POST", "/v1/orders", "{", 400, "invalid-json"),
                ("POST", "/v1/orders", "", 400, "invalid-json"),
                ("POST", "/v1/orders", #"{"customer":"c1"}"#, 422, "unknown-field"),
                ("POST", "/v1/orders", #"{"customerId":1}"#, 422, "wrong-type"),
                ("POST", "/v1/orders", #"{"customerId":"c1"}"#, 422, "missing-field"),
                ("DELETE", path + "/items/p1", "", 409, "last-item"),
                ("DELETE", path + "/items/p9", "", 404, "unknown-item"),
                ("POST", "/v1/orders?x=1", Self.order(), 400, "unknown-parameter"),
                ("GET", "/v1/accounts/none", "", 404, "unknown-account"),
                ("GET", "/v1/accounts/none?at=today", "", 400, "invalid-parameter"),
                ("GET", "/v1/inventory/none", "", 404, "unknown-stock"),
                ("GET", "/v1/shipments/none", "", 404, "unknown-shipment"),
                ("GET", "/v1/payments/none", "", 404, "unknown-payment"),
                ("GET", "/v1/products/none", "", 404, "unknown-product"),
                ("GET", "/v1/customers/none", "", 404, "no-such-customer"),
                ("POST", "/v1/inventory/none/releases", #"{"orderId":"o","quantity":1}"#, 404, "unknown-stock"),
            ]
            for (method, target, body, status, rule) in refusals {
                let answer = try await service.send(method, target, body)
                #expect(answer.status == status, "\(method) \(target) \(body): \(answer.body)")
                #expect(answer.body.contains("/problems/\(rule)\""), "\(method) \(target) \(body): \(answer.body)")
                #expect(answer.header("Content-Type") == "application/problem+json")
            }
            let stale = try await service.post(path + "/confirm", headers: ["If-Match": #""7""#])
            #expect(stale.status == 412 && stale.body.contains(#""currentVersion":1"#))
            #expect(try await service.send("PUT", path).status == 405)
            let large = String(repeating: " ", count: 70_000) + Self.order()
            #expect(try await service.post("/v1/orders", large).status == 413)
            // None of these requests wrote anything.
            #expect(try await pipeline.number("SELECT count(*) FROM outbox") == 1)
        }
    }

    @Test func aKeyIsAnsweredOnceAndBelongsToOneRequest() async throws {
        try await Self.with { pipeline, service in
            let key = ["Idempotency-Key": "one"]
            let first = try await service.post("/v1/orders", Self.order(), headers: key)
            let again = try await service.post("/v1/orders", Self.order(), headers: key)
            #expect(first.status == 201 && again.status == 201 && again.body == first.body)
            #expect(again.header("Idempotency-Replayed") == "true" && first.header("Idempotency-Replayed") == nil)
            let other = try await service.post("/v1/orders", Self.order("13"), headers: key)
            #expect(other.status == 422 && other.body.contains("/problems/idempotency-key-reused"))
            #expect(try await pipeline.number("SELECT count(*) FROM orders") == 1)
        }
    }

    @Test func whatATenantHasNobodyElseSees() async throws {
        let file = NSTemporaryDirectory() + "millrace-tokens-\(UUID().uuidString)"
        try "token-of-the-first-tenant tenant=one\ntoken-of-the-second-tenant tenant=two\n"
            .write(toFile: file, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
        defer { try? FileManager.default.removeItem(atPath: file) }
        try await Self.with(["http.token_files": file]) { pipeline, service in
            func bearer(_ name: String) -> [String: String] {
                ["Authorization": "Bearer token-of-the-\(name)-tenant", "Idempotency-Key": "same"]
            }
            #expect(try await service.post("/v1/orders", Self.order()).status == 401)
            let created = try await service.post("/v1/orders", Self.order(), headers: bearer("first"))
            let path = "/v1/orders/" + (try Self.id(created))
            #expect(try await service.get(path, headers: bearer("first")).status == 200)
            #expect(try await service.get(path, headers: bearer("second")).status == 404)
            var second = bearer("second")
            // Idempotency keys belong to a token, so the second token can use the same key.
            #expect(try await service.post("/v1/orders", Self.order(), headers: second).status == 201)
            second["Idempotency-Key"] = nil
            let foreign = try await service.post(path + "/confirm", headers: second)
            #expect(foreign.status == 404 && foreign.body.contains("/problems/unknown-order"))
            #expect(
                try await pipeline.texts("SELECT DISTINCT metadata ->> 'tenantId' FROM outbox ORDER BY 1")
                    == ["one", "two"])
        }
    }

    /// The service is killed repeatedly while it carries out commands. A repetition with the same key gets an answer,
    /// and each command is carried out exactly once.
    @Test func aKillLosesNoAnswer() async throws {
        try await Pipeline.with { pipeline in
            let opened = try await RunningService(pipeline.commandService(), serving: "commands")
            let account = try await opened.post("/v1/accounts", #"{"owner":"Ada","currency":"EUR"}"#)
            let path = try #require(account.header("Location"))
            try await opened.process.stop()
            let deposits = 120
            for round in 0..<3 {
                let service = try await RunningService(pipeline.commandService(), serving: "commands")
                try await withThrowingTaskGroup(of: Void.self) { group in
                    let client = service.client
                    for number in round * 20..<deposits {
                        group.addTask { _ = try? await Self.deposit(number, path, client) }
                    }
                    for _ in 0..<20 { try await group.next() }
                    service.process.signal(SIGKILL)
                }
                _ = try await service.process.exitCode()
            }
            let last = try await RunningService(pipeline.commandService(), serving: "commands")
            for number in 0..<deposits {
                let answer = try await Self.deposit(number, path, last.client)
                #expect(answer.status == 200, "\(answer.body)")
            }
            let balance = try await last.get(path)
            #expect(balance.body.contains(#""balance":"120.00""#), "\(balance.body)")
            #expect(
                try await pipeline.number("SELECT count(*) FROM outbox WHERE event_type = 'MoneyDeposited'")
                    == Int64(deposits))
            try await last.process.stop()
        }
    }

    private static func deposit(
        _ number: Int, _ path: String, _ client: ServiceClient
    ) async throws -> ServiceClient.Answer {
        try await client.send(
            "POST", path + "/deposits", #"{"amount":"1.00","currency":"EUR"}"#,
            headers: ["Idempotency-Key": "d\(number)"])
    }

    @Test func oneServiceServesAllDomains() async throws {
        try await Self.with { pipeline, service in
            let received = try await service.post("/v1/inventory/p1/receipts", #"{"quantity":5}"#)
            #expect(received.status == 200 && received.body.contains(#""available":5"#), "\(received.body)")
            let order = try Self.id(try await service.post("/v1/orders", Self.order()))
            let pieces = #"{"orderId":"\#(order)","quantity":2}"#
            let reserved = try await service.post("/v1/inventory/p1/reservations", pieces)
            #expect(reserved.status == 200 && reserved.body.contains(#""available":3"#), "\(reserved.body)")
            #expect(
                try await pipeline.texts("SELECT DISTINCT aggregate_type FROM outbox ORDER BY 1")
                    == ["Inventory", "Order"])
        }
    }

    @Test func theDescriptionIsJSONAndNamesEveryRoute() async throws {
        try await Self.with(["commands.domains": "accounts"]) { _, service in
            let answer = try await service.get("/openapi.json")
            let document = try #require(
                try JSONSerialization.jsonObject(with: Data(answer.body.utf8)) as? [String: Any])
            let paths = try #require(document["paths"] as? [String: Any])
            #expect(
                paths.keys.sorted() == [
                    "/v1/accounts", "/v1/accounts/{id}", "/v1/accounts/{id}/deposits", "/v1/accounts/{id}/freeze",
                    "/v1/accounts/{id}/transfers", "/v1/accounts/{id}/withdrawals",
                ])
            #expect(try await service.post("/v1/orders", Self.order()).status == 404, "it serves only accounts")
        }
    }
}

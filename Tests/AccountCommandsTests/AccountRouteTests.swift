import AccountCommands
import Accounts
import CommandKit
import Commands
import Events
import Postgres
import StreamCore
import TestKit
import Testing

@Suite struct AccountRouteTests {
    private func call(
        _ bus: CommandBus, _ method: String, _ template: String, _ id: String = "", _ body: String = "",
        at: String? = nil
    ) async throws -> CommandReplyMessage {
        let routes = AccountCommands.domain(.standard).routes(bus, "command-service")
        let route = try #require(routes.first { $0.method == method && $0.template == template })
        return await route.answer(
            CommandCall(
                method: method, path: template, parameters: ["id": id], query: at.map { ["at": $0] } ?? [:],
                body: Array(body.utf8)))
    }

    private func text(_ message: CommandReplyMessage) -> String { String(decoding: message.body, as: UTF8.self) }

    @Test func theDescriptionHasEveryRoute() throws {
        #expect(try AccountCommands.domain(.standard).undescribed() == [])
    }

    @Test func anAccountOverItsRoutesAndAtAnyTime() async throws {
        try await TestDatabase.withSchema(migrating: AccountCommands.migrationSets) { database in
            let bus = try AccountCommandTests.bus(database)
            try await CommandScene.running(bus) {
                var ids: [String] = []
                for _ in 0..<2 {
                    let made = try await call(
                        bus, "POST", "/v1/accounts", "", #"{"owner":"Ada","currency":"EUR","overdraftLimit":"5"}"#)
                    #expect(made.status == 201)
                    let location = try #require(made.headers.first { $0.name == "Location" }?.value)
                    ids.append(String(location.dropFirst("/v1/accounts/".count)))
                }
                let deposit = #"{"amount":"100.00","currency":"EUR"}"#
                let paid = try await call(bus, "POST", "/v1/accounts/{id}/deposits", ids[0], deposit)
                #expect(text(paid).contains(#""balance":"100.00""#))
                let moved = try await call(
                    bus, "POST", "/v1/accounts/{id}/transfers", ids[0],
                    #"{"to":"\#(ids[1])","amount":"100.50","currency":"EUR"}"#)
                #expect(text(moved).contains(#""balance":"-0.50""#))
                let tooMuch = try await call(
                    bus, "POST", "/v1/accounts/{id}/withdrawals", ids[0], #"{"amount":"4.51","currency":"EUR"}"#)
                #expect(tooMuch.status == 409 && text(tooMuch).contains("/problems/insufficient-funds"))
                let frozen = try await call(bus, "POST", "/v1/accounts/{id}/freeze", ids[0], #"{"reason":"r"}"#)
                #expect(text(frozen).contains(#""status":"frozen""#))
                let late = try await call(bus, "POST", "/v1/accounts/{id}/deposits", ids[0], deposit)
                #expect(late.status == 409 && text(late).contains("/problems/account-frozen"))

                let connection = try await PostgresConnection.connect(database)
                var parameters = Parameters()
                parameters.append(ids[0])
                let times = try await connection.execute(
                    "SELECT occurred_at FROM stream_events WHERE aggregate_id = $1 ORDER BY sequence", parameters)
                await connection.close()
                for (row, balance) in ["0", "100.00", "-0.50"].enumerated() {
                    let at = try times.timestamp(row, 0).description
                    let then = try await call(bus, "GET", "/v1/accounts/{id}", ids[0], at: at)
                    #expect(text(then).contains(#""balance":"\#(balance)""#), "\(at)")
                }
                let before = try await call(bus, "GET", "/v1/accounts/{id}", ids[0], at: "2001-01-01T00:00:00Z")
                #expect(before.status == 404)
                let never = try await call(bus, "GET", "/v1/accounts/{id}", ids[0], at: "yesterday")
                #expect(never.status == 400)
                let now = try await call(bus, "GET", "/v1/accounts/{id}", ids[0])
                #expect(text(now).contains(#""version":4"#) && !text(now).contains("status\":{"))
            }
        }
    }

    private static func with(_ body: (CommandScene) async throws -> Void) async throws {
        try await CommandScene.with([AccountCommands.domain(.standard)], body)
    }

    private static let opening = #"{"owner":"Ada","currency":"EUR"}"#

    private static func money(_ amount: String, _ currency: String = "EUR", more: String = "") -> String {
        #"{"amount":\#(amount),"currency":"\#(currency)"\#(more)}"#
    }

    /// Opens an account.
    ///
    /// - Returns: the path of the account.
    private static func open(_ scene: CommandScene, tenant: String? = nil) async throws -> String {
        let opened = try await scene.call("POST", "/v1/accounts", opening, tenant: tenant)
        #expect(opened.status == 201, "\(opened.text)")
        return try #require(opened["Location"])
    }

    /// Invalid requests to open an account, with the status and the last part of the problem's type.
    static let wrongAccounts: [(body: String, status: Int, type: String)] = [
        ("", 400, "invalid-json"), ("{", 400, "invalid-json"), ("[]", 422, "wrong-type"), ("{}", 422, "missing-field"),
        (#"{"owner":"Ada"}"#, 422, "missing-field"), (#"{"owner":1,"currency":"EUR"}"#, 422, "wrong-type"),
        (#"{"owner":"Ada","currency":"euro"}"#, 422, "unknown-currency"),
        (#"{"owner":"Ada","currency":"XXX"}"#, 422, "unknown-currency"),
        (#"{"owner":"Ada","currency":"EUR","colour":"red"}"#, 422, "unknown-field"),
        (#"{"owner":"\u0000","currency":"EUR"}"#, 422, "invalid-value"),
        (#"{"owner":"Ada","currency":"EUR","overdraftLimit":"-1"}"#, 422, "invalid-amount"),
        (#"{"owner":"Ada","currency":"EUR","overdraftLimit":"0.001"}"#, 422, "invalid-amount"),
    ]

    /// Invalid requests to move money.
    static let wrongMovements: [(body: String, status: Int, type: String)] = [
        ("", 400, "invalid-json"), ("3", 422, "wrong-type"), ("{}", 422, "missing-field"),
        (#"{"amount":"1"}"#, 422, "missing-field"), (#"{"currency":"EUR"}"#, 422, "missing-field"),
        (money("0"), 422, "invalid-amount"), (money(#""-1""#), 422, "invalid-amount"),
        (money("-1"), 422, "invalid-amount"),
        (money(#""0.001""#), 422, "invalid-amount"), (money("0.1000000000000000055"), 422, "invalid-value"),
        (money("1e400"), 422, "invalid-value"), (money(#""much""#), 422, "invalid-value"),
        (money("true"), 422, "wrong-type"),
        (money(#""\#(String(repeating: "9", count: 60))""#), 422, "invalid-value"),
        (money("1", "USD"), 422, "currency-mismatch"), (money("1", "euro"), 422, "unknown-currency"),
        (money("1", more: #","amount":2"#), 422, "wrong-type"),
        (money("1", more: #","colour":"red""#), 422, "unknown-field"),
    ]

    @Test func whatIsWrongIsToldByItsOwnProblemAndNothingIsWritten() async throws {
        try await Self.with { scene in
            let path = try await Self.open(scene)
            #expect(try await scene.call("POST", path + "/deposits", Self.money("5")).status == 200)
            func expect(_ target: String, _ body: String, _ status: Int, _ type: String) async throws {
                let answer = try await scene.call("POST", target, body)
                #expect(answer.status == status && answer.type == type, "\(target) \(body): \(answer.text)")
            }
            for (body, status, type) in Self.wrongAccounts { try await expect("/v1/accounts", body, status, type) }
            for (body, status, type) in Self.wrongMovements {
                try await expect(path + "/deposits", body, status, type)
                try await expect(path + "/withdrawals", body, status, type)
            }
            try await expect(path + "/deposits", Self.money("1", more: #","to":"b""#), 422, "unknown-field")
            try await expect(path + "/withdrawals", Self.money("6"), 409, "insufficient-funds")
            try await expect(path + "/transfers", Self.money("1"), 422, "missing-field")
            try await expect(path + "/transfers", Self.money("1", more: #","to":"""#), 422, "invalid-value")
            try await expect(path + "/transfers", Self.money("1", more: #","to":"none""#), 422, "unknown-counterparty")
            let own = path.dropFirst("/v1/accounts/".count)
            try await expect(path + "/transfers", Self.money("1", more: #","to":"\#(own)""#), 422, "same-account")
            try await expect(path + "/freeze", "{}", 422, "missing-field")
            try await expect("/v1/accounts/none/deposits", Self.money("1"), 404, "unknown-account")
            let stale = try await scene.call(
                "POST", path + "/deposits", Self.money("1"), ["if-match": "\"7\""])
            #expect(stale.status == 412 && stale.type == "version-mismatch", "\(stale.text)")
            #expect(try await scene.number("SELECT count(*) FROM outbox") == 2)
            #expect(try await scene.number("SELECT count(*) FROM stream_events") == 2)
        }
    }

    @Test func aKeyMovesMoneyOnce() async throws {
        try await Self.with { scene in
            let (path, key) = (try await Self.open(scene), ["idempotency-key": "k"])
            let first = try await scene.call("POST", path + "/deposits", Self.money("5"), key)
            let again = try await scene.call("POST", path + "/deposits", Self.money("5"), key)
            #expect(first.status == 200 && again.body == first.body && again["Idempotency-Replayed"] == "true")
            let other = try await scene.call("POST", path + "/deposits", Self.money("6"), key)
            #expect(other.status == 422 && other.type == "idempotency-key-reused")
            #expect(try await scene.call("GET", path).text.contains(#""balance":"5""#))
        }
    }

    @Test func anotherTenantSeesAndMovesNothing() async throws {
        try await Self.with { scene in
            let path = try await Self.open(scene, tenant: "t")
            let id = path.dropFirst("/v1/accounts/".count)
            for tenant in [nil, "u"] {
                let own = try await Self.open(scene, tenant: tenant)
                #expect(try await scene.call("POST", own + "/deposits", Self.money("9"), tenant: tenant).status == 200)
                #expect(try await scene.call("GET", path, tenant: tenant).status == 404)
                let then = ["at": "2100-01-01T00:00:00Z"]
                #expect(try await scene.call("GET", path, query: then, tenant: tenant).status == 404)
                let transfer = Self.money("1", more: #","to":"\#(own.dropFirst("/v1/accounts/".count))""#)
                for (action, body) in [
                    ("deposits", Self.money("1")), ("withdrawals", Self.money("1")), ("transfers", transfer),
                    ("freeze", #"{"reason":"r"}"#),
                ] {
                    let answer = try await scene.call("POST", path + "/\(action)", body, tenant: tenant)
                    #expect(answer.status == 404 && answer.type == "unknown-account", "\(action): \(answer.text)")
                }
                let sent = try await scene.call(
                    "POST", own + "/transfers", Self.money("1", more: #","to":"\#(id)""#), tenant: tenant)
                #expect(sent.type == "unknown-counterparty", "\(sent.text)")
            }
            #expect(try await scene.call("GET", path, tenant: "t").text.contains(#""balance":"0"#))
            #expect(try await scene.number("SELECT count(*) FROM outbox") == 5)
        }
    }
}

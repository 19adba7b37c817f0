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
}

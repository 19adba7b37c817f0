import AccountCommands
import Accounts
import CommandKit
import Commands
import Events
import Logging
import OrderShop
import Postgres
import StreamCore
import TestKit
import Testing

@Suite struct AccountCommandTests {
    typealias Rules = AccountRulesTests

    static func bus(_ database: PostgresConfiguration) throws -> CommandBus {
        var configuration = CommandBusConfiguration()
        configuration.connections = 3
        configuration.timeoutMs = 120_000
        configuration.maxAttempts = 100
        configuration.logLevel = .debug
        return try CommandBus(
            configuration, postgres: database, domains: [AccountCommands.domain(.standard)],
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func with(_ body: (PostgresConfiguration, CommandBus) async throws -> Void) async throws {
        try await TestDatabase.withSchema(migrating: AccountCommands.migrationSets) { database in
            let bus = try Self.bus(database)
            try await CommandScene.running(bus) { try await body(database, bus) }
        }
    }

    private func answer(
        _ bus: CommandBus, _ command: some Command, tenant: String? = nil
    ) async throws -> String {
        let request = CommandRequest(metadata: EventMetadata(tenantID: tenant))
        switch try await bus.send(command, request).verdict {
        case .accepted(let result): return "\(result.version)"
        case .refused(let refusal): return refusal.rule
        }
    }

    private func transfer(_ from: String, _ to: String, _ cents: Int) -> TransferMoney {
        TransferMoney(accountID: from, counterparty: to, money: Rules.euros(cents), transferID: "t")
    }

    @Test func aTransferHasBothSidesOrNone() async throws {
        try await with { database, bus in
            for id in ["a", "b", "frozen"] {
                #expect(try await answer(bus, OpenAccount(accountID: id, account: Rules.opened())) == "1")
            }
            #expect(
                try await answer(bus, OpenAccount(accountID: "foreign", account: Rules.opened()), tenant: "x") == "1")
            #expect(try await answer(bus, DepositMoney(accountID: "a", money: Rules.euros(10_010))) == "2")
            #expect(try await answer(bus, FreezeAccount(accountID: "frozen", reason: "r")) == "2")
            #expect(try await answer(bus, FreezeAccount(accountID: "frozen", reason: "r")) == "2")
            #expect(try await answer(bus, transfer("a", "b", 4_005)) == "3")
            #expect(try await answer(bus, transfer("a", "b", 100_000)) == "insufficient-funds")
            #expect(try await answer(bus, transfer("a", "frozen", 1)) == "account-frozen")
            #expect(try await answer(bus, transfer("a", "nobody", 1)) == "unknown-counterparty")
            #expect(try await answer(bus, transfer("a", "foreign", 1)) == "unknown-counterparty")
            #expect(try await answer(bus, transfer("a", "a", 1)) == "same-account")
            #expect(try await answer(bus, transfer("foreign", "a", 1)) == "unknown-account")
            #expect(try await bus.aggregate(AccountDecider.self, "a")?.state.balance == Rules.euros(6_005).amount)
            #expect(try await bus.aggregate(AccountDecider.self, "b")?.state.balance == Rules.euros(4_005).amount)
            // The events have the form that projections/accounts reads.
            let connection = try await PostgresConnection.connect(database)
            let rows = try await connection.execute(
                """
                SELECT aggregate_id, payload ->> 'direction', payload ->> 'amount', payload ->> 'counterparty'
                FROM outbox WHERE event_type = 'TransferCompleted' ORDER BY id
                """)
            #expect(rows.rowCount == 2)
            #expect(try (0..<4).map { try rows.string(0, $0) } == ["a", "out", "40.05", "b"])
            #expect(try (0..<4).map { try rows.string(1, $0) } == ["b", "in", "40.05", "a"])
            await connection.close()
        }
    }

    /// After a restart only the stream remains. A new bus reads the tenant, the limit and the balance from it.
    @Test func aTenantIsKnownFromTheStream() async throws {
        try await with { database, bus in
            let open = OpenAccount(accountID: "a", account: Rules.opened(overdraft: 500))
            #expect(try await answer(bus, open, tenant: "x") == "1")
            let other = try Self.bus(database)
            try await CommandScene.running(other) {
                let withdrawal = WithdrawMoney(accountID: "a", money: Rules.euros(500))
                let foreign = try await answer(other, withdrawal)
                let first = try await answer(other, withdrawal, tenant: "x")
                let second = try await answer(other, withdrawal, tenant: "x")
                #expect([foreign, first, second] == ["unknown-account", "2", "insufficient-funds"])
            }
        }
    }

    /// Two processes with many clients send transfers, many of them twice with the same key. The sum of all balances
    /// does not change, and no account is ever below its limit. `make bench BENCH=transfers` runs a million transfers.
    @Test func thousandsOfTransfersKeepTheSum() async throws {
        let trial = TransferTrial(transfers: 10_000)
        try await with { database, bus in
            try await trial.open(bus)
            let other = try Self.bus(database)
            try await CommandScene.running(other) {
                let totals = try await trial.run([bus, other])
                #expect(totals.accepted + totals.refused == 10_000 && totals.repeated == 2_000)
                #expect(totals.accepted > 1_000 && totals.refused > 100, "\(totals)")
                try await trial.check(totals, bus, database)
                // The check detects a missing event.
                let connection = try await PostgresConnection.connect(database)
                try await connection.execute(
                    script: "DELETE FROM outbox WHERE id = (SELECT max(id) FROM outbox)")
                await connection.close()
                let meaning = "events that are missing in the outbox or differ there: 1, not 0"
                await #expect(throws: TransferTrial.Broken(description: meaning)) {
                    try await trial.check(totals, bus, database)
                }
            }
        }
    }
}

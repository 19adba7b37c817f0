import AccountCommands
import Accounts
import CommandKit
import Commands
import Events
import Logging
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
            // Events as projections/accounts reads them.
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

    /// What survives a restart is the stream alone: a new bus knows the tenant, the limit and the balance.
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

    /// Two processes, many clients, each key twice: no money comes or goes, and no account is below its limit at any
    /// time.
    @Test func thousandsOfTransfersKeepTheSum() async throws {
        let (accounts, transfers) = (100, 10_000)
        try await with { database, bus in
            for index in 0..<accounts {
                let account = Rules.opened(overdraft: index % 10 == 0 ? 2_000 : 0)
                #expect(try await answer(bus, OpenAccount(accountID: "a\(index)", account: account)) == "1")
                let deposit = DepositMoney(accountID: "a\(index)", money: Rules.euros(10_000))
                #expect(try await answer(bus, deposit) == "2")
            }
            let other = try Self.bus(database)
            try await CommandScene.running(other) {
                let replays = try await withThrowingTaskGroup(of: Int.self) { group in
                    for client in 0..<64 {
                        group.addTask {
                            try await Self.client(client, of: 64, transfers, accounts, [bus, other])
                        }
                    }
                    return try await group.reduce(0, +)
                }
                #expect(replays == transfers / 10)
            }
            try await check(database, bus, accounts)
        }
    }

    /// Sends its part of the transfers, and every tenth once more to the other process.
    private static func client(
        _ client: Int, of clients: Int, _ transfers: Int, _ accounts: Int, _ buses: [CommandBus]
    ) async throws -> Int {
        var random = SplitMix64(seed: UInt64(client))
        var replays = 0
        for number in stride(from: client, to: transfers, by: clients) {
            let source = Int.random(in: 0..<accounts, using: &random)
            let target = (source + Int.random(in: 1..<accounts, using: &random)) % accounts
            let command = TransferMoney(
                accountID: "a\(source)", counterparty: "a\(target)",
                money: Rules.euros(Int.random(in: 1...5_000, using: &random)), transferID: "t\(number)")
            let key = IdempotencyKey(scope: "", key: "\(number)", request: [])
            let first = try await buses[number % 2].send(command, CommandRequest(idempotencyKey: key))
            if number % 10 > 0 { continue }
            let again = try await buses[(number + 1) % 2].send(command, CommandRequest(idempotencyKey: key))
            #expect(again == CommandOutcome(first.verdict, isReplay: true))
            replays += 1
        }
        return replays
    }

    private func check(_ database: PostgresConfiguration, _ bus: CommandBus, _ accounts: Int) async throws {
        var sum = DecimalAmount.zero
        for index in 0..<accounts {
            let state = try #require(try await bus.aggregate(AccountDecider.self, "a\(index)")?.state)
            sum = try sum.adding(state.balance)
        }
        #expect(sum == Rules.euros(accounts * 10_000).amount)
        let connection = try await PostgresConnection.connect(database)
        // The balance after each event of each account, told by the events alone.
        let below = try await connection.execute(
            """
            SELECT count(*) FROM (
                SELECT aggregate_id, sum(CASE
                    WHEN event_type = 'MoneyDeposited' OR payload ->> 'direction' = 'in' THEN 1
                    WHEN event_type = 'TransferCompleted' THEN -1 ELSE 0 END
                        * coalesce((payload ->> 'amount')::numeric, 0))
                    OVER (PARTITION BY aggregate_id ORDER BY sequence) AS balance
                FROM stream_events) AS b
            WHERE balance < CASE WHEN aggregate_id LIKE '%0' THEN -20 ELSE 0 END
            """)
        #expect(try below.int64(0, 0) == 0)
        let unlike = try await connection.execute(
            """
            SELECT count(*) FROM stream_events AS e FULL JOIN outbox AS o USING (event_id)
            WHERE e.sequence IS DISTINCT FROM o.sequence OR e.payload::text IS DISTINCT FROM o.payload::text
            """)
        #expect(try unlike.int64(0, 0) == 0)
        let halves = try await connection.execute(
            """
            SELECT count(*) FROM (
                SELECT payload ->> 'transferId' FROM stream_events WHERE event_type = 'TransferCompleted'
                GROUP BY 1 HAVING count(*) <> 2 OR count(DISTINCT payload ->> 'direction') <> 2) AS h
            """)
        #expect(try halves.int64(0, 0) == 0)
        await connection.close()
    }
}

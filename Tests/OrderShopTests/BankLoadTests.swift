import AccountCommands
import HTTPClient
import Logging
import Migrations
import Postgres
import TestKit
import Testing

@testable import OrderShop

/// Tests the demo bank: the movements that are played, and the resulting streams of accounts.
@Suite struct BankLoadTests {
    @Test func aMovementFollowsFromItsSeedAndNumber() {
        let plan = BankPlan(seed: 3, run: "r", accounts: 100)
        let steps = (0..<500).map { plan.movement($0) }
        #expect(steps == (0..<500).map { BankPlan(seed: 3, run: "r", accounts: 100).movement($0) })
        #expect(steps != (0..<500).map { BankPlan(seed: 4, run: "r", accounts: 100).movement($0) })
        #expect(Set(steps.map(\.key)).count == steps.count)
        var transfers = 0
        for case .transfer(let transfer) in steps.map(\.command) {
            transfers += 1
            #expect(transfer.accountID != transfer.counterparty)
        }
        #expect((80...170).contains(transfers))
    }

    @Test func itPlaysAllMovementsByTheRules() async throws {
        try await TestDatabase.withSchema(migrating: ["outbox", "commands"]) { database in
            var configuration = BankLoad.Configuration()
            configuration.movementsPerSecond = 0
            configuration.movements = 400
            configuration.accounts = 40
            configuration.connections = 2
            let load = try BankLoad(
                configuration, database: database, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            let totals = await load.run()
            #expect(totals.accounts == 40)
            #expect(totals.movements + totals.refused == 400 && totals.movements > 200 && totals.refused > 0)
            let connection = try await PostgresConnection.connect(database)
            // A transfer has one event for each of its two accounts.
            let rows = try await connection.execute(
                """
                SELECT count(*) FILTER (WHERE event_type = 'AccountOpened'),
                    count(*) FILTER (WHERE event_type <> 'AccountOpened')
                        - count(*) FILTER (WHERE event_type = 'TransferCompleted') / 2,
                    count(*) FILTER (WHERE event_type = 'TransferCompleted') FROM outbox
                """)
            #expect(try rows.int64(0, 0) == 40)
            #expect(try rows.int64(0, 1) == Int64(totals.movements))
            #expect(try rows.int64(0, 2) > 0)
            let disordered = try await connection.execute(
                """
                SELECT count(*) FROM (
                    SELECT sequence, row_number() OVER (PARTITION BY aggregate_id ORDER BY id) AS place FROM outbox
                ) AS o WHERE sequence <> place
                """)
            #expect(try disordered.int64(0, 0) == 0)
            await connection.close()
        }
    }

    @Test func itEndsWhenItIsToldTo() async throws {
        try await TestDatabase.withSchema(migrating: ["outbox", "commands"]) { database in
            var configuration = BankLoad.Configuration()
            configuration.movementsPerSecond = 20
            configuration.accounts = 10
            let load = try BankLoad(
                configuration, database: database, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            async let totals = load.run()
            try await eventually { load.totals.movements > 5 }
            load.stop()
            #expect(await totals.accounts == 10)
        }
    }

    @Test func aStepIsTheRequestOfAClient() throws {
        let plan = BankPlan(seed: 3, run: "r", accounts: 100)
        func text(_ command: RemoteCommand) -> String { String(decoding: command.body, as: UTF8.self) }
        let opening = RemoteCommand(plan.opening(of: 0)) { $0 }
        #expect(opening.method == .post && opening.path == "/v1/accounts" && opening.key == "r-open-0")
        #expect(text(opening).hasSuffix(#","currency":"EUR","overdraftLimit":"500.00"}"#), "\(text(opening))")
        var paths: Set<String> = []
        for number in 0..<100 {
            let step = plan.movement(number)
            let request = RemoteCommand(step) { "given-" + $0 }
            #expect(request.key == "r-\(number)" && request.path.hasPrefix("/v1/accounts/given-acc-r-"))
            let action = try #require(request.path.split(separator: "/").last)
            paths.insert(String(action))
            if case .transfer(let transfer) = step.command {
                #expect(text(request).contains(#""to":"given-\#(transfer.counterparty)""#))
            } else {
                #expect(!text(request).contains(#""to""#))
            }
        }
        #expect(paths == ["deposits", "withdrawals", "transfers"])
    }

    @Test func theFirstErrorEndsTheLoad() async throws {
        struct Away: Error {}
        var configuration = BankLoad.Configuration()
        configuration.movementsPerSecond = 0
        configuration.accounts = 10
        let player = BankPlayer(configuration, players: 3)
        await #expect(throws: Away.self) {
            try await player.run { step in
                if case .open = step.command { return .carriedOut }
                throw Away()
            }
        }
        #expect(player.totals.accounts == 10 && player.totals.movements == 0)
    }
}

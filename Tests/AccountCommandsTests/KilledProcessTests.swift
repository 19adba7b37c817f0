import AccountCommands
import Accounts
import CommandKit
import Commands
import Events
import Foundation
import Postgres
import StreamCore
import TestKit
import Testing

/// A process that carries out transfers is killed repeatedly (SIGKILL). Then all requests are repeated with their keys.
/// Each of them either finds that it was carried out once, or is carried out now.
@Suite struct KilledProcessTests {
    private static let transfers = 1_200

    /// The file from which the child of a process reads its task.
    private static func orders(ofChildOf process: Int32) -> String {
        NSTemporaryDirectory() + "millrace-killed-bus-\(process)"
    }

    static func transfer(_ number: Int) -> (TransferMoney, CommandRequest) {
        var random = SplitMix64(seed: UInt64(number))
        let source = Int.random(in: 0..<10, using: &random)
        let target = (source + Int.random(in: 1..<10, using: &random)) % 10
        let command = TransferMoney(
            accountID: "a\(source)", counterparty: "a\(target)",
            money: AccountRulesTests.euros(Int.random(in: 1...500, using: &random)), transferID: "t\(number)")
        let key = IdempotencyKey(scope: "", key: "\(number)", request: [])
        return (command, CommandRequest(idempotencyKey: key))
    }

    /// The work of the child: it sends the transfers after those of the previous child until enough of them are
    /// answered. Then it is killed while the others are carried out.
    static func carryOutUntilKilled() async throws {
        let orders = try String(contentsOfFile: orders(ofChildOf: getppid()), encoding: .utf8)
        let parts = orders.split(separator: "|").map(String.init)
        var database = try PostgresConfiguration(url: parts[0])
        database.schema = parts[1]
        let first = Int(parts[2]) ?? 0
        let bus = try AccountCommandTests.bus(database)
        var answered = 0
        try await CommandScene.running(bus) {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in first..<transfers {
                    let (command, request) = transfer(number)
                    group.addTask { try await bus.send(command, request) }
                }
                while try await group.next() != nil {
                    answered += 1
                    if answered == 150 { kill(getpid(), SIGKILL) }
                }
            }
        }
    }

    @Test func aRepetitionFindsEveryAnswer() async throws {
        let orders = Self.orders(ofChildOf: getpid())
        defer { try? FileManager.default.removeItem(atPath: orders) }
        try await TestDatabase.withSchema(migrating: AccountCommands.migrationSets) { database in
            let bus = try AccountCommandTests.bus(database)
            try await CommandScene.running(bus) {
                for index in 0..<10 {
                    try await bus.send(OpenAccount(accountID: "a\(index)", account: AccountRulesTests.opened()))
                    try await bus.send(
                        DepositMoney(accountID: "a\(index)", money: AccountRulesTests.euros(10_000)))
                }
                let url = [("host", database.host), ("port", database.port.map { "\($0)" }), ("user", database.user)]
                    .compactMap { name, value in value.map { "\(name)=\($0)" } }.joined(separator: " ")
                for round in 0..<4 {
                    let place = "\(url) dbname=\(database.database ?? "postgres")|\(database.schema)|\(round * 200)"
                    try place.write(toFile: orders, atomically: true, encoding: .utf8)
                    await #expect(processExitsWith: .signal(SIGKILL)) {
                        try await KilledProcessTests.carryOutUntilKilled()
                    }
                }
                try await repeatAll(bus, database)
            }
        }
    }

    private func repeatAll(_ bus: CommandBus, _ database: PostgresConfiguration) async throws {
        let connection = try await PostgresConnection.connect(database)
        let before = try await connection.execute("SELECT count(*) FROM command_answers").int64(0, 0)
        // The first child alone carried out this many. The later ones may have found answers of earlier ones.
        #expect(before >= 150)
        var (replays, accepted) = (0, 0)
        for number in 0..<Self.transfers {
            let (command, request) = Self.transfer(number)
            let outcome = try await bus.send(command, request)
            if outcome.isReplay { replays += 1 }
            if case .accepted = outcome.verdict { accepted += 1 }
        }
        // Everything that was committed has its answer, and nothing else has one.
        #expect(Int64(replays) == before)
        var sum = DecimalAmount.zero
        for index in 0..<10 {
            let state = try #require(try await bus.aggregate(AccountDecider.self, "a\(index)")?.state)
            #expect(state.balance.coefficient >= 0)
            sum = try sum.adding(state.balance)
        }
        #expect(sum == AccountRulesTests.euros(100_000).amount)
        let sides = try await connection.execute(
            """
            SELECT count(*), count(*) FILTER (WHERE sides = 2), (SELECT count(*) FROM outbox
                WHERE event_type = 'TransferCompleted')
            FROM (SELECT count(*) AS sides FROM stream_events WHERE event_type = 'TransferCompleted'
                GROUP BY payload ->> 'transferId') AS t
            """)
        #expect(try sides.int64(0, 0) == Int64(accepted) && sides.int64(0, 1) == Int64(accepted))
        #expect(try sides.int64(0, 2) == Int64(2 * accepted))
        await connection.close()
    }
}

import AccountCommands
import CommandKit
import Commands
import Kafka
import Outbox
import Postgres
import Projections
import ReadModels
import StreamCore
import TestKit
import Testing

@testable import SQLProjections

/// Tests versions that commands update in their own transactions.
@Suite struct InlineTests {
    @Test func commandsTakeAVersionOverAndItsRowsAreThereWithTheAnswer() async throws {
        try await InlineScene.with { inline in
            let (_, folder) = try inline.scene.folder(InlineScene.files)
            let version = try await inline.scene.version(folder)
            try await inline.relaying {
                try await inline.open("a")
                try await inline.scene.running(version) {
                    // The handover waits for the events under way. No event is lost or applied twice.
                    for _ in 1...20 { try await inline.deposit("a", euros: 10) }
                    #expect(try await inline.takeover(version).run(waitingUpTo: .seconds(120)))
                    #expect(try await inline.balances(version) == ["a 200 20"])
                    #expect(try await inline.takeover(version).run() == false)
                    for number in 1...5 {
                        try await inline.deposit("a", euros: 1)
                        #expect(try await inline.balances(version) == ["a \(200 + number) \(20 + number)"])
                    }
                }
                #expect(try await inline.verify(version).filter { !$0.isEqual } == [])
                // The verification compares the rows: it detects a changed value.
                _ = try await inline.scene.column(
                    "UPDATE \(version.name).balances SET balance = balance + 1 RETURNING account")
                #expect(try await inline.verify(version).map(\.isEqual) == [false])
            }
        }
    }

    @Test func aStatementThatFailsLeavesNeitherEventNorRow() async throws {
        try await InlineScene.with { inline in
            let (_, version) = try await inline.inlineVersion()
            for id in ["a", "b", "c"] {
                try await inline.open(id)
                try await inline.deposit(id, euros: 900)
            }
            func state() async throws -> [String] {
                try await inline.scene.column(
                    """
                    SELECT 'events ' || count(*) FROM stream_events UNION ALL SELECT 'outbox ' || count(*) FROM outbox
                    UNION ALL SELECT 'a ' || version FROM event_streams WHERE aggregate_id = 'a'
                    """) + (try await inline.balances(version))
            }
            let before = try await state()
            #expect(before == ["events 6", "outbox 6", "a 2", "a 900 1", "b 900 1", "c 900 1"])
            await #expect(throws: CommandFailure.failed) { try await inline.deposit("a", euros: 100) }
            #expect(try await state() == before)
            // The other commands in its transaction are carried out.
            let failed = await withTaskGroup(of: String?.self) { group in
                for (id, euros) in [("b", 1), ("a", 100), ("c", 2)] {
                    group.addTask { (try? await inline.deposit(id, euros: euros)) == nil ? id : nil }
                }
                return await group.reduce(into: [String]()) { if let id = $1 { $0.append(id) } }
            }
            #expect(failed == ["a"])
            #expect(try await inline.balances(version) == ["a 900 1", "b 901 2", "c 902 2"])
        }
    }

    @Test func aStatementThatTakesTooLongIsTriedAgainAndThenUnavailable() async throws {
        try await InlineScene.with { inline in
            let files = InlineScene.files.merging(["AccountFrozen.sql": "SELECT pg_sleep(600) FROM events"]) { $1 }
            let (_, version) = try await inline.inlineVersion(files)
            try await inline.open("a")
            let impatient = try InlineScene.bus(inline.scene.postgres, maxAttempts: 2, statementTimeoutMs: 300)
            try await CommandScene.running(impatient) {
                await #expect(throws: CommandFailure.unavailable) {
                    try await impatient.send(FreezeAccount(accountID: "a", reason: "r"))
                }
            }
            try await inline.deposit("a", euros: 1)
            #expect(try await inline.balances(version) == ["a 1 1"])
        }
    }

    /// A ledger: its statements run for each event, and its sequences have no gaps.
    @Test func commandsOfOneAggregateAreAppliedInTheirOrder() async throws {
        try await InlineScene.with { inline in
            let files = [
                "schema.sql": """
                CREATE TABLE moves (account text, sequence bigint, balance numeric, PRIMARY KEY (account, sequence))
                """,
                "AccountOpened.sql": "INSERT INTO moves VALUES (:aggregate_id, :sequence, 0)",
                "MoneyDeposited.sql": """
                INSERT INTO moves SELECT :aggregate_id, :sequence, balance + (:payload ->> 'amount')::numeric FROM moves
                WHERE account = :aggregate_id AND sequence = :sequence - 1
                """,
            ]
            let (_, version) = try await inline.inlineVersion(
                files, settings: "mode = \"event\"\nstrict_sequence = true\nunknown_types = \"fail\"")
            try await inline.open("a")
            let other = try InlineScene.bus(inline.scene.postgres)
            try await CommandScene.running(other) {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for number in 0..<40 {
                        let bus = number.isMultiple(of: 2) ? inline.bus : other
                        group.addTask {
                            try await bus.send(DepositMoney(accountID: "a", money: InlineScene.euros(100)))
                        }
                    }
                    try await group.waitForAll()
                }
            }
            let moves = try await inline.scene.column(
                "SELECT sequence || ' ' || round(balance) FROM \(version.name).moves ORDER BY sequence")
            #expect(moves == (1...41).map { "\($0) \($0 - 1)" })
            // The folder must know every type, and does not know this one.
            await #expect(throws: CommandFailure.failed) {
                try await inline.bus.send(FreezeAccount(accountID: "a", reason: "r"))
            }
            let tables = try await inline.relaying { try await inline.verify(version) }
            #expect(tables.contains { $0.table == "moves" && $0.rows == 41 } && tables.allSatisfy(\.isEqual))
        }
    }

    // MARK: one owner

    @Test func aDaemonOfTheVersionIsRefused() async throws {
        try await InlineScene.with { inline in
            let (_, version) = try await inline.inlineVersion()
            let starting = await #expect(throws: VersionSchema.Refusal.self) {
                try await inline.scene.withConnection { try await version.prepare($0) }
            }
            #expect(starting?.description.contains("is applied by command-service") == true)
            // A daemon that already ran applies nothing more, and writes no dead letter.
            let event = SQLEvent(
                eventID: EventID(high: 1, low: 1), type: "MoneyDeposited", aggregateType: "Account", aggregateID: "a",
                sequence: 1, occurredAt: .now, version: 1, correlationID: nil, metadata: Array("{}".utf8),
                payload: Array(#"{"amount":"1"}"#.utf8), topic: inline.scene.topic)
            let running = await #expect(throws: PostgresError.self) {
                try await inline.scene.withConnection { connection in
                    try await connection.withTransaction { try await version.projection.apply([event], in: $0) }
                }
            }
            #expect(running?.kind == .everything && running?.mayConcernOneRow == false)
            #expect(running?.message.contains("is applied by command-service") == true)
            #expect(try await inline.balances(version).isEmpty)
            let adopting = await #expect(throws: VersionSchema.Refusal.self) {
                try await inline.scene.withConnection { _ = try await version.adopt($0) }
            }
            #expect(adopting?.description.contains("raise projection.version") == true)
        }
    }

    @Test func aBusThatCannotApplyAVersionCarriesNothingOut() async throws {
        try await InlineScene.with { inline in
            let (_, version) = try await inline.inlineVersion()
            try await inline.open("a")
            let other = try InlineScene.bus(inline.scene.postgres, nil)
            try await CommandScene.running(other) {
                await #expect(throws: CommandFailure.failed) {
                    try await other.send(DepositMoney(accountID: "a", money: InlineScene.euros(100)))
                }
            }
            #expect(try await inline.balances(version).isEmpty)
            #expect(try await inline.scene.column("SELECT count(*)::text FROM outbox") == ["1"])
        }
    }

    @Test func aVersionThatIsNotReadyIsNotHandedOver() async throws {
        try await InlineScene.with { inline in
            let (_, folder) = try inline.scene.folder(InlineScene.files)
            let version = try await inline.scene.version(folder)
            func refusal() async -> String {
                do {
                    _ = try await inline.takeover(version).run(waitingUpTo: .milliseconds(50))
                    return ""
                } catch {
                    return "\(error)"
                }
            }
            try await inline.open("a")
            #expect(await refusal().contains("the outbox still has 1 of its events"))
            try await inline.relaying {
                try await eventually {
                    try await inline.scene.column("SELECT count(*)::text FROM outbox") == ["0"]
                }
            }
            #expect(await refusal().contains("1 records of its topics are not applied yet"))
            // Commands are still carried out.
            try await inline.deposit("a", euros: 1)
            #expect(try await inline.balances(version).isEmpty)
            let (_, foreign) = try inline.scene.folder(InlineScene.files, envelope: "type = \"/kind\"", version: 2)
            let obstacle = await #expect(throws: VersionSchema.Refusal.self) {
                _ = try await inline.takeover(VersionSchema(foreign, isIsolated: true)).run()
            }
            #expect(obstacle?.description.contains("[envelope]") == true)
        }
    }

    /// With `relay.retention = "keep"` published rows stay in the outbox. A failed row may still be published later.
    @Test func rowsThatStayAfterTheirPublicationDoNotMatterButFailedOnesDo() async throws {
        try await InlineScene.with { inline in
            let (_, folder) = try inline.scene.folder(InlineScene.files)
            let version = try await inline.scene.version(folder)
            try await inline.open("a")
            try await inline.deposit("a", euros: 3)
            _ = try await inline.scene.column(
                """
                INSERT INTO outbox_failed (id, event_id, aggregate_type, aggregate_id, error_class, error)
                VALUES (-1, gen_random_uuid(), 'Account', 'z', 'too_large', 'too large')
                """)
            try await inline.relaying(retention: .keep) {
                try await eventually {
                    try await inline.scene.column("SELECT count(*)::text FROM outbox WHERE published_at IS NULL")
                        == ["0"]
                }
                try await inline.scene.running(version) {
                    let refusal = await #expect(throws: VersionSchema.Refusal.self) {
                        _ = try await inline.takeover(version).run(waitingUpTo: .milliseconds(500))
                    }
                    #expect(refusal?.description.contains("the outbox still has 1 of its events") == true)
                    _ = try await inline.scene.column("UPDATE outbox_failed SET state = 'discarded'")
                    #expect(try await inline.takeover(version).run(waitingUpTo: .seconds(120)))
                }
                try await inline.deposit("a", euros: 4)
            }
            #expect(try await inline.balances(version) == ["a 7 2"])
            let kept = try await inline.scene.column(
                "SELECT count(*)::text FROM outbox WHERE published_at IS NOT NULL")
            #expect(Int(kept[0]) ?? 0 >= 2)
        }
    }

    @Test func aHigherVersionTakesItsPlace() async throws {
        try await InlineScene.with { inline in
            let (_, version) = try await inline.inlineVersion()
            try await inline.relaying {
                try await inline.open("a")
                for _ in 1...3 { try await inline.deposit("a", euros: 1) }
                let (_, next) = try inline.scene.folder(InlineScene.files, version: 2)
                try await inline.scene.build(next)
                let second = VersionSchema(next, isIsolated: true)
                try await inline.scene.running(second) {
                    _ = try await inline.scene.rebuild(next).promote(isForced: true, waitingUpTo: .seconds(120))
                    try await inline.deposit("a", euros: 1)
                    #expect(try await inline.balances(version) == ["a 3 3"])
                    try await eventually { try await inline.balances(second) == ["a 4 4"] }
                    _ = try await inline.scene.rebuild(next).retire()
                    #expect(try await inline.takeover(second).run(waitingUpTo: .seconds(120)))
                    try await inline.deposit("a", euros: 1)
                    #expect(try await inline.balances(second) == ["a 5 5"])
                }
                #expect(try await inline.verify(second).filter { !$0.isEqual } == [])
            }
        }
    }
}

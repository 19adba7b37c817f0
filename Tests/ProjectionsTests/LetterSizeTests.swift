import EmbeddedKafka
import Kafka
import Postgres
import StreamCore
import Synchronization
import TestKit
import Testing

@testable import Projections

/// A record that fits into its topic, but not with the headers of a letter.
@Suite struct LetterSizeTests {
    /// Produces the failing record and a good record after it into the only partition, and waits for both.
    private func failing(
        _ scene: ParkingScene, key: [UInt8], headers: [RecordHeader]
    ) async throws -> (event: LedgerEvent, letter: LetterRecord) {
        let bad = LedgerEvent(key: "bad", sequence: 1, amount: -1)
        try await scene.produce(key: key, bad.wire, headers: headers)
        try await scene.produce(key: Array("good".utf8), LedgerEvent(key: "good", sequence: 1).wire)
        try await eventually { try await scene.ledger.rows()["good"] != nil }
        let letter = try #require(try await scene.awaitLetters("failed", 1).first)
        #expect(letter.value == nil)
        #expect(letter["millrace.value.kept"] == "database" && letter["millrace.error.class"] == "sql_23514")
        return (bad, letter)
    }

    private func kept(_ scene: ParkingScene) async throws -> [(String, Int32?, Int32?)] {
        try await scene.ledger.withConnection { connection in
            let result = try await connection.execute(
                """
                SELECT kept, octet_length(kept_value), octet_length(kept_key) FROM parked_events WHERE kept IS NOT NULL
                """)
            return try (0..<result.rowCount).map {
                (
                    try result.string($0, 0), result.isNull($0, 1) ? nil : try result.int32($0, 1),
                    result.isNull($0, 2) ? nil : try result.int32($0, 2)
                )
            }
        }
    }

    @Test func headersThatLeaveNoRoomAreKeptInTheDatabase() async throws {
        try await ParkingScene.with(partitions: 1) { scene in
            let seen = Mutex<[RecordHeader]>([])
            let projection = scene.ledger.projection { $0.sawHeaders = { headers in seen.withLock { $0 = headers } } }
            let headers = [
                RecordHeader(name: "event-type", value: Array("Entered".utf8)),
                RecordHeader(name: "x", value: [UInt8](repeating: UInt8(ascii: "a"), count: 999_400)),
                RecordHeader(name: "null", value: nil),
            ]
            try await running(scene.runner(projection)) {
                let (bad, letter) = try await failing(scene, key: Array("bad".utf8), headers: headers)
                #expect(letter.key == Array("bad".utf8))
                #expect(letter["millrace.headers.kept"] == "database" && letter["millrace.key.kept"] == nil)
                #expect(letter["x"] == nil)
                let kept = try await kept(scene)
                #expect(kept.map(\.0) == ["headers"])
                #expect(kept.first?.1 == Int32(bad.wire.count) && kept.first?.2 == nil)
                // The event fails again, and its stored parts are still complete.
                try await scene.retry([letter], delivery: 2)
                let again = try #require(try await scene.awaitLetters("failed", 2).last)
                #expect(again["millrace.value.kept"] == "database")
                #expect(seen.withLock { $0 } == headers)
                try await scene.execute("ALTER TABLE ledger DROP CONSTRAINT ledger_least_check")
                try await scene.retry([again], delivery: 3)
                try await scene.awaitLetters("resolved", 1)
            }
            #expect(try await scene.ledger.rows()["bad"]?.sum == -1)
            #expect(try await scene.parked() == 0)
        }
    }

    @Test func aKeyThatLeavesNoRoomIsKeptInTheDatabase() async throws {
        try await ParkingScene.with(partitions: 1) { scene in
            let key = [UInt8](repeating: UInt8(ascii: "k"), count: 999_600)
            try await running(scene.runner()) {
                let (bad, letter) = try await failing(scene, key: key, headers: [])
                let origin = "\(scene.ledger.topics[0])/0/0"
                #expect(letter.key == Array(origin.utf8) && letter["millrace.key.kept"] == "database")
                let kept = try await kept(scene)
                #expect(kept.map(\.0) == ["record"])
                #expect(kept.first?.1 == Int32(bad.wire.count) && kept.first?.2 == Int32(key.count))
                #expect(try await scene.blockedKeys() == 1)
                try await scene.execute("ALTER TABLE ledger DROP CONSTRAINT ledger_least_check")
                try await scene.retry([letter], delivery: 2)
                try await scene.awaitLetters("resolved", 1)
            }
            #expect(try await scene.ledger.rows()["bad"]?.sum == -1)
            #expect(try await scene.parked() == 0)
        }
    }

    /// If the letter breaks a rule of the topic (a schema, a required key), the parts of the record are stored in the
    /// database instead.
    @Test func whatTheTopicRefusesIsKeptInTheDatabase() async throws {
        try await Ledger.withPrivateCluster(partitions: 1) { ledger, cluster in
            let scene = try ParkingScene(ledger)
            try cluster.createTopic(scene.route.letterTopic, partitions: 1)
            try cluster.createTopic(scene.route.retryTopic, partitions: 1)
            let latch = Latch()
            let projection = ledger.projection { $0.beforeApply = { _, _ in await latch.wait() } }
            try await scene.produce(key: Array("bad".utf8), LedgerEvent(key: "bad", sequence: 1, amount: -1).wire)
            try await scene.produce(key: Array("good".utf8), LedgerEvent(key: "good", sequence: 1).wire)
            try await running(scene.runner(projection)) {
                try await eventually { latch.isWaiting }
                let invalidRecord: Int32 = 87
                cluster.pushRequestErrors(.produce, [invalidRecord, invalidRecord])
                latch.open()
                try await eventually { try await ledger.rows()["good"] != nil }
                #expect(try await scene.letters("failed").map { $0["millrace.value.kept"] } == ["database"])
            }
        }
    }
}

import Kafka
import Logging
import Postgres
import StreamCore
import TestKit
import Testing

@testable import Projections

/// An event that fails becomes a letter and blocks its key. All other keys continue.
@Suite struct ParkingTests {
    @Test func oneThatCannotBeDecodedIsParkedAndItsKeyWaits() async throws {
        try await ParkingScene.with { scene in
            let ledger = scene.ledger
            let observer = Observer()
            let log = RecordedLog()
            let (bad, behind) = try await producePoison(ledger)
            let broken = ledger.projection { $0.undecodable = (bad.key, bad.sequence) }
            try await running(scene.runner(broken, observer: observer, log: log)) { try await ledger.caughtUp() }
            try await expectOthersApplied(ledger, but: bad)
            #expect(observer.now.stopped == [])

            let letters = try await scene.letters()
            let failed = try #require(letters.first)
            #expect(letters.map(\.reason) == ["failed"] + Array(repeating: "blocked", count: behind))
            #expect(failed.key == Array(bad.key.utf8) && failed.value == bad.wire)
            #expect(failed["__dlq.errors.topic"] == ledger.topics[0])
            #expect(failed["__dlq.errors.group"] == "test.\(ledger.name).v1")
            #expect(failed["__dlq.errors.delivery.count"] == "1")
            #expect(failed["__dlq.errors.message"] == "the test says so")
            #expect(failed["millrace.consumer"] == ledger.name)
            #expect(failed["millrace.order"] == "key" && failed["millrace.stage"] == "decode")
            #expect(failed["millrace.error.class"] == "undecodable")
            #expect(failed["millrace.event-id"] == "\(bad.id)")
            #expect(failed["millrace.origin.timestamp"].flatMap { Int64($0) } != nil)
            #expect(letters.dropFirst().allSatisfy { $0["millrace.error.class"] == nil && $0["millrace.stage"] == nil })
            #expect(letters.compactMap(\.event?.sequence) == Array(bad.sequence...(bad.sequence + Int64(behind))))
            #expect(try await scene.parked() == Int64(behind) + 1)
            #expect(try await scene.blockedKeys() == 1)
            let line = try #require(log.lines("events parked").first)
            #expect(line.level == .warning && line.metadata["failed"] == "1")

            try await running(scene.runner()) { try await scene.retryUntilResolved() }
            try await ledger.expectExact()
        }
    }

    @Test func oneThatBreaksAConstraintIsFoundAndParked() async throws {
        try await ParkingScene.with { scene in
            let ledger = scene.ledger
            let (bad, _) = try await producePoison(ledger, amount: -5)
            try await running(scene.runner()) {
                try await ledger.caughtUp()
                try await expectOthersApplied(ledger, but: bad)
                let failed = try await scene.letters("failed")
                #expect(failed.map { $0["millrace.error.class"] } == ["sql_23514"])
                #expect(failed.map { $0["millrace.stage"] } == ["apply"])
                #expect(failed.map { $0["millrace.event-id"] } == ["\(bad.id)"])

                try await scene.execute("ALTER TABLE ledger DROP CONSTRAINT ledger_least_check")
                try await scene.retryUntilResolved()
                // The key is no longer blocked.
                try await ledger.produce([ledger.next(bad.key), ledger.next(bad.key)])
                try await ledger.caughtUp()
            }
            try await ledger.expectExact()
            #expect(try await scene.letters("blocked").count == 5)
        }
    }

    @Test func laterBatchesOfTheKeyAreBlockedToo() async throws {
        try await ParkingScene.with { scene in
            let ledger = scene.ledger
            let (bad, _) = try await producePoison(ledger, amount: -5)
            try await running(scene.runner()) { try await ledger.caughtUp() }
            // Another instance loads the blocked keys from the database.
            try await running(scene.runner()) {
                try await ledger.produce(count: 60, keys: 20)
                try await ledger.caughtUp()
                try await ledger.produce(count: 60, keys: 20)
                try await ledger.caughtUp()
            }
            try await expectOthersApplied(ledger, but: bad)
            #expect(try await scene.letters("blocked").count == 5 + 3 + 3)
        }
    }

    @Test func withoutOrderNothingWaits() async throws {
        try await ParkingScene.with {
            $0.order = .none
        } _: { scene in
            let ledger = scene.ledger
            let (bad, behind) = try await producePoison(ledger, amount: -5)
            try await running(scene.runner()) {
                try await ledger.caughtUp()
                let letters = try await scene.letters()
                #expect(letters.map(\.reason) == ["failed"])
                #expect(letters.map { $0["millrace.order"] } == ["none"])
                #expect(try await ledger.rows()[bad.key]?.lastSequence == bad.sequence + Int64(behind))
                #expect(try await scene.blockedKeys() == 0)
                try await scene.execute("ALTER TABLE ledger DROP CONSTRAINT ledger_least_check")
                try await scene.retryUntilResolved()
            }
            let expected = try #require(ledger.expectedRows()[bad.key])
            #expect(try await ledger.rows()[bad.key]?.sum == expected.sum)
        }
    }

    @Test func recordsWithoutAKeyAndWithHeadersAreParkedAsTheyAre() async throws {
        try await ParkingScene.with { scene in
            let ledger = scene.ledger
            let headers = [
                RecordHeader(name: "a", value: [1, 2]), RecordHeader(name: "millrace.reason", value: [3]),
                RecordHeader(name: "empty", value: []), RecordHeader(name: "null", value: nil),
                RecordHeader(name: "a", value: [4]),
            ]
            let bad = LedgerEvent(key: "x", sequence: 1, amount: -1)
            try await running(scene.runner()) {
                try await scene.produce(key: nil, bad.wire, headers: headers)
                try await scene.produce(key: nil, LedgerEvent(key: "y", sequence: 1).wire)
                let letter = try #require(try await scene.awaitLetters("failed", 1).first)
                #expect(letter.key == nil && letter.value == bad.wire)
                #expect(Array(letter.allHeaders.prefix(4)) == [headers[0], headers[2], headers[3], headers[4]])
                #expect(letter["millrace.reason"] == "failed")
                try await eventually { try await ledger.rows()["y"] != nil }
                #expect(try await scene.blockedKeys() == 0)
                try await scene.execute("ALTER TABLE ledger DROP CONSTRAINT ledger_least_check")
                try await scene.retryUntilResolved()
            }
            #expect(try await ledger.rows()["x"]?.sum == -1)
        }
    }

    @Test func aValueLargerThanALetterIsKeptInTheDatabase() async throws {
        try await ParkingScene.with(topicSettings: ["max.message.bytes": "3000000"]) { scene in
            let ledger = scene.ledger
            var large = ledger.kafka
            large.properties["message.max.bytes"] = "3000000"
            let producer = try Producer(large) { _ in }
            var bad = LedgerEvent(key: "large", sequence: 1, amount: -1)
            bad.padding = String(repeating: "x", count: 1_200_000)
            try await scene.produce(key: Array("large".utf8), bad.wire, through: producer)
            try await scene.produce(key: Array("large".utf8), LedgerEvent(key: "large", sequence: 2).wire)
            try await running(scene.runner()) {
                let blocked = try await scene.awaitLetters("blocked", 1)
                let failed = try await scene.awaitLetters("failed", 1)
                #expect(failed.map(\.value) == [nil])
                #expect(failed.map { $0["millrace.value.kept"] } == ["database"])
                // The letters come before the commit.
                try await eventually { try await scene.parked() == 2 }
                let kept = try await ledger.withConnection {
                    try await $0.execute(
                        "SELECT octet_length(kept_value) FROM parked_events WHERE kept_value IS NOT NULL")
                }
                #expect(kept.rowCount == 1)
                #expect(Int(try kept.int32(0, 0)) == bad.wire.count)
                // An operator discarded the event by mistake. The value is still stored.
                try await scene.retry(failed, delivery: 2)
                #expect(try await scene.awaitLetters("failed", 2).last?["millrace.value.kept"] == "database")
                try await scene.retry(failed, delivery: 3, action: "discard")
                try await scene.awaitLetters("discarded", 1)
                try await scene.execute("ALTER TABLE ledger DROP CONSTRAINT ledger_least_check")
                try await scene.retry(blocked, delivery: 4)
                try await scene.awaitLetters("resolved", 1)
                try await scene.retry(failed, delivery: 5, times: 2)
                try await scene.awaitLetters("resolved", 3)
            }
            #expect(try await scene.parked() == 0)
            let row = try #require(try await ledger.rows()["large"])
            #expect(row.count == 2 && row.sum == 0)
            await producer.close(timeoutMs: 1_000)
        }
    }

    @Test func aRetryTopicThatDoesNotExistDisturbsNothing() async throws {
        try await ParkingScene.with(retryTopicExists: false) { scene in
            let ledger = scene.ledger
            let log = RecordedLog()
            let (bad, behind) = try await producePoison(ledger, amount: -5)
            try await running(scene.runner(log: log)) { try await ledger.caughtUp() }
            try await expectOthersApplied(ledger, but: bad)
            #expect(try await scene.letters("blocked").count == behind)
            #expect(log.lines("Kafka client reports").isEmpty)
        }
    }

    @Test func whereFailuresStopNothingIsWritten() async throws {
        try await ParkingScene.with { scene in
            let ledger = scene.ledger
            let observer = Observer()
            let (_, _) = try await producePoison(ledger, amount: -5)
            try await running(ledger.runner(observer: observer)) {
                try await eventually { !observer.now.stopped.isEmpty }
            }
            #expect(try await scene.letters().isEmpty)
            #expect(try await scene.parked() == 0)
        }
    }
}

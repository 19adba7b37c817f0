import Kafka
import Logging
import Postgres
import StreamCore
import TestKit
import Testing

@testable import Projections

/// An event that fails becomes a letter, its key waits, and all others go on.
@Suite struct ParkingTests {
    /// Poison in the middle of the events of 20 keys; returns the poison and what comes behind it in its key.
    private func producePoison(
        _ ledger: Ledger, key: String = "k7", amount: Int64 = 1
    ) async throws -> (bad: LedgerEvent, behind: Int) {
        try await ledger.produce(count: 100, keys: 20)
        let bad = ledger.next(key, amount: amount)
        try await ledger.produce([bad])
        try await ledger.produce(count: 100, keys: 20)
        return (bad, 5)
    }

    private func expectOthersApplied(_ ledger: Ledger, but bad: LedgerEvent) async throws {
        var expected = ledger.expectedRows()
        expected[bad.key] = nil
        var rows = try await ledger.rows()
        let own = rows.removeValue(forKey: bad.key)
        #expect(rows == expected)
        #expect(own?.lastSequence == bad.sequence - 1)
        #expect(own?.disorders == 0)
    }

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
                // The key is free.
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
            // Another instance learns it from the database.
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

    @Test func aRetryThatFailsIsParkedAgainAndBlocksTheRest() async throws {
        try await ParkingScene.with { scene in
            let ledger = scene.ledger
            let (bad, behind) = try await producePoison(ledger, amount: -5)
            try await running(scene.runner()) {
                try await ledger.caughtUp()
                let letters = try await scene.letters()
                try await scene.retry(letters, delivery: 2)
                try await scene.awaitLetters("blocked", 2 * behind)
                let again = try await scene.letters().dropFirst(letters.count)
                #expect(again.map(\.reason) == ["failed"] + Array(repeating: "blocked", count: behind))
                #expect(again.allSatisfy { $0.delivery == 2 })
                #expect(again.map(\.origin) == letters.map(\.origin))
                #expect(again.map(\.value) == letters.map(\.value))
                #expect(try await scene.parked() == Int64(behind) + 1)
                try await expectOthersApplied(ledger, but: bad)

                try await scene.execute("ALTER TABLE ledger DROP CONSTRAINT ledger_least_check")
                try await scene.retry(letters, delivery: 3)
                let resolved = try await scene.awaitLetters("resolved", behind + 1)
                #expect(resolved.map(\.origin) == letters.map(\.origin))
                #expect(resolved.allSatisfy { $0.value == nil && $0.delivery == 3 })
                #expect(resolved.map(\.key) == letters.map(\.key))
            }
            #expect(try await scene.parked() == 0)
            try await ledger.expectExact()
        }
    }

    @Test func retriesMayComeTwiceAndInAnyOrder() async throws {
        try await ParkingScene.with { scene in
            let ledger = scene.ledger
            let (_, behind) = try await producePoison(ledger, amount: -5)
            try await running(scene.runner()) {
                try await ledger.caughtUp()
                let letters = try await scene.letters()
                try await scene.execute("ALTER TABLE ledger DROP CONSTRAINT ledger_least_check")
                try await scene.retry(letters.reversed(), delivery: 2)
                try await scene.awaitLetters("resolved", 1)
                try await scene.retry(letters, delivery: 3, times: 2)
                try await scene.awaitLetters("resolved", 1 + 2 * (behind + 1))
                try await scene.retry(letters, delivery: 3)
                try await scene.awaitLetters("resolved", 1 + 3 * (behind + 1))
            }
            #expect(try await scene.letters("blocked").count == 2 * behind)
            #expect(try await scene.parked() == 0)
            try await ledger.expectExact()
        }
    }

    @Test func discardingFreesTheKey() async throws {
        try await ParkingScene.with { scene in
            let ledger = scene.ledger
            let (bad, behind) = try await producePoison(ledger, amount: -5)
            try await running(scene.runner()) {
                try await ledger.caughtUp()
                let letters = try await scene.letters()
                try await scene.retry([letters[0]], delivery: 2, action: "discard", times: 2)
                let discarded = try await scene.awaitLetters("discarded", 2)
                #expect(discarded.allSatisfy { $0.origin == letters[0].origin && $0.value == nil })
                try await scene.retry(Array(letters.dropFirst()), delivery: 2)
                try await scene.awaitLetters("resolved", behind)
                try await ledger.produce([ledger.next(bad.key)])
                try await ledger.caughtUp()
            }
            #expect(try await scene.parked() == 0)
            let row = try #require(try await ledger.rows()[bad.key])
            let expected = try #require(ledger.expectedRows()[bad.key])
            #expect(row.lastSequence == expected.lastSequence && row.count == expected.count - 1)
            #expect(row.disorders == 1, "the one that was discarded is missing, and nothing else")
        }
    }

    /// The original is under way while an operator corrects it: whichever comes first is applied, the other is not.
    @Test func aCorrectionIsNeverAppliedBesideItsOriginal() async throws {
        try await ParkingScene.with(partitions: 1) { scene in
            let ledger = scene.ledger
            let (bad, behind) = try await producePoison(ledger, amount: -5)
            try await running(scene.runner()) {
                try await ledger.caughtUp()
                let letters = try await scene.letters()
                let corrected = LedgerEvent(key: bad.key, sequence: bad.sequence, amount: 7)
                try await scene.execute("ALTER TABLE ledger DROP CONSTRAINT ledger_least_check")
                try await scene.retry([letters[0]], delivery: 2)
                try await scene.retry([letters[0]], delivery: 3, value: corrected.wire)
                try await scene.retry([letters[0]], delivery: 2)
                try await scene.awaitLetters("resolved", 3)
                try await scene.retry(Array(letters.dropFirst()))
                try await scene.awaitLetters("resolved", 3 + behind)
            }
            #expect(try await scene.parked() == 0)
            try await ledger.expectExact()
        }
    }

    /// A correction that fails stays the event's last word: the original that comes late does not take its place.
    @Test func anEarlierDeliveryThatComesLateHasNoEffect() async throws {
        try await ParkingScene.with(partitions: 1) { scene in
            let ledger = scene.ledger
            let (bad, _) = try await producePoison(ledger, amount: -5)
            try await running(scene.runner()) {
                try await ledger.caughtUp()
                let letters = try await scene.letters()
                let corrected = LedgerEvent(key: bad.key, sequence: bad.sequence, amount: -7)
                try await scene.retry([letters[0]], delivery: 3, value: corrected.wire)
                try await scene.awaitLetters("failed", 2)
                try await scene.execute("ALTER TABLE ledger DROP CONSTRAINT ledger_least_check")
                try await scene.retry([letters[0]], delivery: 2)
                try await scene.retry([letters[0]], delivery: 4, action: "discard")
                try await scene.awaitLetters("discarded", 1)
                // Nor does a retry from before the discard.
                try await scene.retry([letters[0]], delivery: 3)
                #expect(try await scene.awaitLetters("discarded", 2).map(\.delivery) == [4, 4])
                #expect(try await scene.letters("resolved").isEmpty)
                // Restored.
                try await scene.retry([letters[0]], delivery: 5)
                #expect(try await scene.awaitLetters("resolved", 1).map(\.origin) == [letters[0].origin])
            }
        }
    }

    @Test func retriesOfAnotherVersionArePassedOver() async throws {
        try await ParkingScene.with { scene in
            let ledger = scene.ledger
            let (_, behind) = try await producePoison(ledger, amount: -5)
            try await running(scene.runner()) {
                try await ledger.caughtUp()
                let letters = try await scene.letters()
                let group = try #require(letters[0]["__dlq.errors.group"])
                try await scene.execute("ALTER TABLE ledger DROP CONSTRAINT ledger_least_check")
                for action in ["apply", "discard"] {
                    try await scene.retry(
                        letters, delivery: 2, action: action, headers: ["__dlq.errors.group": group + "1"])
                }
                try await scene.retry(letters, delivery: 3, headers: ["__dlq.errors.group": group])
                let resolved = try await scene.awaitLetters("resolved", behind + 1)
                #expect(resolved.allSatisfy { $0.delivery == 3 })
                #expect(try await scene.letters("discarded").isEmpty)
            }
            try await ledger.expectExact()
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
                let kept = try await ledger.withConnection {
                    try await $0.execute(
                        "SELECT octet_length(kept_value) FROM parked_events WHERE kept_value IS NOT NULL")
                }
                #expect(kept.rowCount == 1)
                #expect(Int(try kept.int32(0, 0)) == bad.wire.count)
                // Discarded by mistake: the value is still there.
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

    @Test func aRetryWithoutAnOriginIsPassedOver() async throws {
        try await ParkingScene.with { scene in
            let ledger = scene.ledger
            let (_, _) = try await producePoison(ledger, amount: -5)
            try await running(scene.runner()) {
                try await ledger.caughtUp()
                let letters = try await scene.letters()
                let producer = try Producer(ledger.kafka) { _ in }
                try await producer.send(topic: scene.route.retryTopic, key: nil, value: [1])
                try await producer.send(topic: scene.route.retryTopic, key: letters[0].key, value: nil)
                await producer.close(timeoutMs: 1_000)
                try await scene.execute("ALTER TABLE ledger DROP CONSTRAINT ledger_least_check")
                try await scene.retry(letters)
                try await scene.awaitLetters("resolved", letters.count)
            }
            try await ledger.expectExact()
        }
    }

    @Test func aRetryOfARecordThatIsStillToComeIsNotApplied() async throws {
        try await ParkingScene.with { scene in
            let ledger = scene.ledger
            let (_, behind) = try await producePoison(ledger, amount: -5)
            try await running(scene.runner()) {
                try await ledger.caughtUp()
                let letters = try await scene.letters()
                try await scene.execute("ALTER TABLE ledger DROP CONSTRAINT ledger_least_check")
                let ahead = letters[0].allHeaders.map { header in
                    header.name == "__dlq.errors.offset"
                        ? RecordHeader(name: header.name, value: Array("1000000".utf8)) : header
                }
                try await scene.retry([LetterRecord(letters[0], headers: ahead)])
                try await scene.retry(letters, delivery: 3)
                try await scene.awaitLetters("resolved", behind + 1)
                #expect(try await scene.letters().allSatisfy { $0["__dlq.errors.offset"] != "1000000" })
            }
            try await ledger.expectExact()
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

extension LetterRecord {
    init(_ letter: LetterRecord, headers: [RecordHeader]) {
        key = letter.key
        value = letter.value
        allHeaders = headers
    }
}

import Kafka
import Postgres
import StreamCore
import TestKit
import Testing

@testable import Projections

/// A letter comes back as a retry. Its event is applied once in the order of its key, or parked again.
@Suite struct RetryTests {
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
            #expect(row.disorders == 1, "only the discarded event is missing")
        }
    }

    /// An operator corrects an event while the original is being retried. The delivery that comes first is applied, the
    /// other is not.
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

    /// A correction that failed stays the latest delivery of its event. The original that arrives late does not replace
    /// it.
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
                // A retry that was sent before the discard has no effect either.
                try await scene.retry([letters[0]], delivery: 3)
                #expect(try await scene.awaitLetters("discarded", 2).map(\.delivery) == [4, 4])
                #expect(try await scene.letters("resolved").isEmpty)
                // This later delivery restores the event.
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
}

extension LetterRecord {
    init(_ letter: LetterRecord, headers: [RecordHeader]) {
        key = letter.key
        value = letter.value
        allHeaders = headers
    }
}

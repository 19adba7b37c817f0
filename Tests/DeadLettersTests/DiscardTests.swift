import Kafka
import Postgres
import StreamCore
import TestKit
import Testing

@testable import DeadLetters

/// A discarded letter leaves no key blocked, and a delivery's content is fixed when it is scheduled.
@Suite struct DiscardTests {
    private static let audit = Audit(actor: "mara", reason: "a test event")

    private func actions(_ scene: Scene) async throws -> [String] {
        try await scene.text(
            """
            SELECT action, to_state FROM dead_letter_history JOIN dead_letters USING (letter_id)
            WHERE origin_offset = 1 ORDER BY at
            """)
    }

    @Test func aDiscardThatCannotBeSentLeavesTheLetterOpen() async throws {
        try await Scene.run { scene in
            let consumer = try await PlayedConsumer(scene)
            let store = DeadLetterStore(scene.database)
            try await scene.withHandler {
                for offset in Int64(1)...2 { try await consumer.park("a", offset) }
                try await scene.waitFor(2, "state = 'pending'")
                try await scene.execute("UPDATE dead_letters SET replay_topic = 'retry.gone' WHERE origin_offset = 1")
                try await store.change(.discard, .letters([1]), by: Self.audit)
                try await eventually { try await actions(scene).last == "send_failed pending" }
                try await scene.waitFor(2, "state = 'pending' AND NOT is_discard_open AND next_attempt_at IS NULL")

                try await scene.execute("UPDATE dead_letters SET replay_topic = '\(scene.retryTopic)'")
                try await store.change(.discard, .letters([1]), by: Self.audit)
                await consumer.repair()
                try await consumer.play {
                    try await scene.number("SELECT count(*) FROM dead_letters WHERE state = 'resolved'") == 1
                }
                try await scene.waitFor(1, "state = 'discarded' AND NOT is_discard_open AND NOT is_row_forgotten")
            }
            #expect(await consumer.applied == ["a": [2]])
            #expect(
                try await actions(scene) == [
                    "parked pending", "discard_requested discarded", "send_failed pending",
                    "discard_requested discarded", "discard_confirmed discarded",
                ])
            await consumer.close()
        }
    }

    /// A discard contains no part of the event, because the event itself may be the cause of the failure, for example
    /// by its size.
    @Test func aDiscardCarriesNothingOfTheEvent() async throws {
        try await Scene.run { scene in
            let consumer = try await PlayedConsumer(scene)
            try await scene.withHandler {
                try await consumer.park("a", 1)
                try await scene.waitFor(1, "state = 'pending'")
                try await scene.execute("UPDATE dead_letters SET value = decode(repeat('00', 3000000), 'hex')")
                try await DeadLetterStore(scene.database).change(.discard, .letters([1]), by: Self.audit)
                try await consumer.play {
                    try await scene.number("SELECT count(*) FROM dead_letters WHERE NOT is_discard_open") == 1
                }
            }
            let discard = try #require(await consumer.received.first)
            #expect(discard.action == "discard" && discard.value == nil && discard.key == "a")
            #expect(discard.headers["event-type"] == nil)
            await consumer.close()
        }
    }

    @Test func aDiscardThatIsNotConfirmedIsSentAgain() async throws {
        try await Scene.run { scene in
            let consumer = try await PlayedConsumer(scene)
            try await scene.withHandler({ $0.stuckAfterMs = 1_000 }) {
                try await consumer.park("a", 1)
                try await scene.waitFor(1, "state = 'pending'")
                try await DeadLetterStore(scene.database).change(.discard, .letters([1]), by: Self.audit)
                // The consumer's answer is lost.
                try await consumer.play(answering: false) { await consumer.received.count == 1 }
                try await consumer.play {
                    try await scene.number("SELECT count(*) FROM dead_letters WHERE NOT is_discard_open") == 1
                }
                try await scene.waitFor(1, "state = 'discarded' AND next_attempt_at IS NULL")
            }
            #expect(await consumer.received.prefix(2).map(\.action) == ["discard", "discard"])
            #expect(await consumer.received.prefix(2).map(\.delivery) == [2, 3])
            await consumer.close()
        }
    }

    @Test func retentionWaitsForTheConfirmationOfADiscard() async throws {
        try await Desk.run { desk in
            try await desk.ingest(plainLetter(offset: 1), plainLetter(offset: 2, key: "b"))
            try await DeadLetterStore(desk.database).change(.discard, .letters([1, 2]), by: Self.audit)
            try await desk.ingest([.discarded(plainLetter(offset: 1).name, delivery: 2, isRowKept: true)])
            try await desk.database.execute(
                script: """
                    DELETE FROM dead_letter_sends;
                    UPDATE dead_letters SET state_since = now() - interval '9 days', next_attempt_at = now();
                    """)
            let retention = LetterRetention(connection: desk.database, days: 7, lettersAtOnce: 10)
            #expect(try await retention.prune() == 1)
            #expect(try await desk.scheduler.sendStuckAgain() == 1)
            #expect(
                try await desk.lines("SELECT letter_id::text, action, delivery::text FROM dead_letter_sends")
                    == ["2 discard 3"])
            #expect(try await desk.scheduler.sendStuckAgain() == 0)
        }
    }

    /// The consumer does not exist any more. One of its letters waits, one is being retried, one has a discard that was
    /// never confirmed, and one is resolved.
    @Test func aDiscardWithoutTellingClosesLettersAtOnce() async throws {
        try await Desk.run { desk in
            let store = DeadLetterStore(desk.database)
            try await desk.ingest((1...4).map { .letter(plainLetter(offset: $0, key: "k\($0)")) })
            try await store.change(.retry, .letters([2]), by: Self.audit)
            #expect(try await desk.scheduler.sendDue() == 1)
            try await store.change(.discard, .letters([3]), by: Self.audit)
            try await desk.ingest([.resolved(plainLetter(offset: 4).name, delivery: 1)])
            var expected = DeadLetterStore.Outcome()
            (expected.changed, expected.skipped) = (3, [.isResolved: 1])
            let all = DeadLetterStore.Selection.letters([1, 2, 3, 4])
            #expect(try await store.preview(.discardWithoutTelling, all) == expected)
            #expect(try await desk.states() == ["pending", "retrying", "discarded", "resolved"])

            #expect(try await store.change(.discardWithoutTelling, all, by: Self.audit) == expected)
            #expect(try await desk.states() == ["discarded", "discarded", "discarded", "resolved"])
            #expect(
                try await desk.number(
                    """
                    SELECT count(*) FROM dead_letters WHERE is_discard_open OR next_attempt_at IS NOT NULL
                    """) == 0)
            #expect(try await desk.number("SELECT count(*) FROM dead_letter_sends") == 0)
            let history = """
                SELECT letter_id::text, from_state, to_state, actor, reason FROM dead_letter_history
                WHERE action = 'discarded_without_telling' ORDER BY letter_id
                """
            let why =
                "discarded mara a test event; the consumer was not notified: if it is started again, the key may be"
            #expect(
                try await desk.lines(history) == [
                    "1 pending \(why) blocked", "2 retrying \(why) blocked", "3 discarded \(why) blocked",
                ])
            // The letters are closed: nothing is sent, a second call finds no letter, and late failures reopen none.
            try await desk.database.execute(script: "UPDATE dead_letters SET state_since = now() - interval '9 days'")
            #expect(try await desk.scheduler.sendStuckAgain() == 0)
            #expect(try await desk.scheduler.sendDue() == 0)
            #expect(try await store.change(.discardWithoutTelling, all, by: Self.audit).changed == 0)
            try await desk.ingest(plainLetter(offset: 1), plainLetter(offset: 2, delivery: 2))
            #expect(try await desk.states() == ["discarded", "discarded", "discarded", "resolved"])
            try await desk.checkGroups()

            // The consumer exists again. After a restore, the letter can be discarded as usual, and its consumer is
            // told.
            try await store.change(.restore, .letters([1]), by: Self.audit)
            try await store.change(.discard, .letters([1]), by: Self.audit)
            #expect(
                try await desk.lines("SELECT letter_id::text, action, delivery::text FROM dead_letter_sends")
                    == ["1 discard 3"])
            let retention = LetterRetention(connection: desk.database, days: 7, lettersAtOnce: 10)
            #expect(try await retention.prune() == 3)
        }
    }

    /// If a delivery is sent twice, it has the same content both times, even if an operator corrects the event in
    /// between.
    @Test func aCorrectionIsPartOfTheNextDelivery() async throws {
        try await Desk.run { desk in
            let store = DeadLetterStore(desk.database)
            func page() async throws -> [QueuedSend] {
                try await QueuedSend.page(letters: 10, bytes: 1 << 20, without: [], on: desk.database)
            }
            func schedule() async throws {
                try await store.change(.retry, .letters([1]), by: Self.audit)
                #expect(try await desk.scheduler.sendDue() == 1)
            }
            try await desk.ingest(plainLetter())
            try await schedule()
            #expect(try await page().map(\.value) == [[1]])
            // The delivery was answered, but the row of its send still exists.
            try await desk.ingest(plainLetter(delivery: 2))
            let id = EventID(high: 1, low: 2)
            #expect(try await store.edit(1, value: [9, 9], eventID: id, by: Self.audit) == .edited(1))
            #expect(try await page().map(\.value) == [[1]])
            #expect(try await page().map(\.editedEventID) == [nil])
            try await schedule()
            #expect(try await page().map(\.value) == [[1], [9, 9]])
            #expect(try await page().map(\.editedEventID) == [nil, id])
            #expect(try await page().map(\.delivery) == [2, 3])
        }
    }

    /// A release that deletes the rows of discarded events discarded this one. The retry says so.
    @Test func aRestoredLetterSaysWhetherItsRowIsThere() async throws {
        for isRowKept in [true, false] {
            try await Desk.run { desk in
                let store = DeadLetterStore(desk.database)
                try await desk.ingest(plainLetter())
                try await store.change(.discard, .letters([1]), by: Self.audit)
                try await desk.database.execute(script: "DELETE FROM dead_letter_sends")
                try await desk.ingest([.discarded(plainLetter().name, delivery: 2, isRowKept: isRowKept)])
                try await store.change(.restore, .letters([1]), by: Self.audit)
                try await store.change(.retry, .letters([1]), by: Self.audit)
                #expect(try await desk.scheduler.sendDue() == 1)
                let page = try await QueuedSend.page(letters: 10, bytes: 1 << 20, without: [], on: desk.database)
                #expect(page.map(\.isRowForgotten) == [!isRowKept])
                #expect(page.map(\.delivery) == [3])
            }
        }
    }
}

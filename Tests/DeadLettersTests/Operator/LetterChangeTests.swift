import DeadLetters
import Postgres
import StreamCore
import TestKit
import Testing

@Suite struct LetterChangeTests {
    typealias Skip = DeadLetterStore.Skip

    /// Creates the letters 1–5 with the states pending, retrying, resolved, discarded, and pending without a topic.
    static func withStates(_ body: (LetterScene) async throws -> Void) async throws {
        try await LetterScene.run { scene in
            try await scene.add(5)
            try await scene.connection.execute(
                """
                UPDATE dead_letters SET
                    state = (ARRAY['pending', 'retrying', 'resolved', 'discarded', 'pending'])[letter_id],
                    replay_topic = CASE letter_id WHEN 5 THEN NULL ELSE replay_topic END,
                    dialect = CASE letter_id WHEN 5 THEN 'connect' ELSE dialect END
                """)
            try await body(scene)
        }
    }

    static let everything = DeadLetterStore.Selection.letters([1, 2, 3, 4, 5, 77])

    @Test func onlyLettersInTheRightStateAreChanged() async throws {
        let rest: [(DeadLetterStore.Change, changed: Int64, [Skip: Int64])] = [
            (.retry, 1, [.isRetrying: 1, .isResolved: 1, .isDiscarded: 1, .hasNoReplayTopic: 1]),
            (.discard, 2, [.isRetrying: 1, .isResolved: 1, .isDiscarded: 1]),
            (.discardWithoutTelling, 3, [.isResolved: 1, .isDiscarded: 1]),
            (.restore, 1, [.isPending: 2, .isRetrying: 1, .isResolved: 1]),
        ]
        for (change, changed, skipped) in rest {
            try await Self.withStates { scene in
                let preview = try await scene.store.preview(change, Self.everything)
                #expect(preview.changed == changed)
                #expect(preview.skipped == skipped)
                #expect(preview.missing == [77])
                #expect(try await scene.count("true", of: "dead_letter_history") == 0)
                let outcome = try await scene.store.change(change, Self.everything, by: LetterScene.audit)
                #expect(outcome == preview)
                #expect(
                    try await scene.count("actor = 'mara' AND reason LIKE 'the %'", of: "dead_letter_history")
                        == changed)
            }
        }
    }

    @Test func aRetryIsDueAtOnceAndWrittenDown() async throws {
        try await Self.withStates { scene in
            try await scene.store.change(.retry, .letters([1]), by: LetterScene.audit)
            #expect(try await scene.count("letter_id = 1 AND state = 'pending' AND next_attempt_at <= now()") == 1)
            let entry = try #require(try await scene.store.show(1)?.history.first)
            #expect(entry.action == "retry_requested")
            #expect(entry.from == "pending" && entry.to == "pending")
        }
    }

    @Test func aDiscardTellsTheConsumerWithADeliveryOfItsOwn() async throws {
        try await Self.withStates { scene in
            try await scene.store.change(.discard, .letters([1, 5]), by: LetterScene.audit)
            #expect(try await scene.count("state = 'discarded' AND next_attempt_at IS NULL") == 3)
            // The foreign letter has no consumer that must be told.
            #expect(
                try await scene.text("SELECT string_agg(letter_id || action || delivery, ' ') FROM dead_letter_sends")
                    == "1discard2")
            #expect(try await scene.count("letter_id = 1 AND delivery = 2") == 1)
        }
    }

    @Test func aRestoreWaitsUntilTheDiscardIsSent() async throws {
        try await Self.withStates { scene in
            try await scene.store.change(.discard, .letters([1]), by: LetterScene.audit)
            let early = try await scene.store.change(.restore, .letters([1]), by: LetterScene.audit)
            #expect(early.changed == 0)
            #expect(early.skipped == [.isDiscardUnderway: 1])
            try await scene.connection.execute("DELETE FROM dead_letter_sends")
            #expect(try await scene.store.change(.restore, .letters([1]), by: LetterScene.audit).changed == 1)
            #expect(try await scene.count("letter_id = 1 AND state = 'pending' AND next_attempt_at IS NULL") == 1)
        }
    }

    @Test func aValueThatIsWithTheConsumerIsDiscardedAndRestored() async throws {
        try await Self.withStates { scene in
            try await scene.connection.execute("UPDATE dead_letters SET value = NULL, value_kept = 'consumer'")
            for change in [DeadLetterStore.Change.discard, .restore, .retry] {
                #expect(try await scene.store.change(change, .letters([1]), by: LetterScene.audit).changed == 1)
                try await scene.connection.execute("DELETE FROM dead_letter_sends")
            }
            #expect(try await scene.store.show(1)?.letter.isValueWithConsumer == true)
        }
    }

    @Test func aGroupIsChangedInManyTransactionsAndPaced() async throws {
        try await LetterScene.run { scene in
            try await scene.add(24_000)
            let name = try #require(DeadLetterStore.GroupName("order-summary/class_2/0000000000000007"))
            var progress: [Int64] = []
            let outcome = try await scene.store.change(
                .retry, .group(name), perSecond: 100, by: LetterScene.audit, onProgress: { progress.append($0) })
            #expect(outcome.changed == 1_200)
            #expect(progress == [500, 1_000, 1_200])
            #expect(try await scene.count("next_attempt_at IS NOT NULL") == 1_200)
            #expect(try await scene.count("true", of: "dead_letter_history") == 1_200)
            let spread = try await scene.text(
                """
                SELECT round(extract(epoch FROM max(next_attempt_at) - min(next_attempt_at)) * 1000) || ' '
                    || count(DISTINCT next_attempt_at) FROM dead_letters WHERE next_attempt_at IS NOT NULL
                """)
            #expect(spread == "11990 1200")
            #expect(try await scene.store.change(.retry, .matching(.init()), by: LetterScene.audit).changed == 24_000)
        }
    }

    @Test func twoOperatorsDiscardEachLetterOnce() async throws {
        try await TestDatabase.withSchema(migrating: ["dead-letters"]) { configuration in
            let first = try await PostgresConnection.connect(configuration)
            let second = try await PostgresConnection.connect(configuration)
            let scene = LetterScene(connection: first, store: DeadLetterStore(first))
            try await scene.add(3_000)
            async let one = DeadLetterStore(first).change(.discard, .matching(.init()), by: LetterScene.audit)
            async let two = DeadLetterStore(second).change(.discard, .matching(.init()), by: LetterScene.audit)
            let changed = try await one.changed + two.changed
            #expect(changed == 3_000)
            #expect(try await scene.count("true", of: "dead_letter_sends") == 3_000)
            #expect(try await scene.count("true", of: "dead_letter_history") == 3_000)
            #expect(try await scene.count("discarded = 150 AND pending = 0", of: "dead_letter_groups") == 20)
            await first.close()
            await second.close()
        }
    }

    @Test func anEditIsAddedAndTheLetterKeepsItsOwnValue() async throws {
        try await Self.withStates { scene in
            let before = try await scene.store.show(1)?.letter.value
            for number in 1...2 {
                let outcome = try await scene.store.edit(
                    1, value: Array("{\"edit\":\(number)}".utf8), eventID: EventID(high: 7, low: UInt64(number)),
                    by: LetterScene.audit)
                #expect(outcome == .edited(Int32(number)))
            }
            let detail = try #require(try await scene.store.show(1))
            #expect(detail.letter.value == before)
            #expect(detail.edits.map(\.value) == [Array("{\"edit\":1}".utf8), Array("{\"edit\":2}".utf8)])
            #expect(detail.history.map(\.action) == ["edited", "edited"])

            func outcome(_ letter: Int64) async throws -> DeadLetterStore.EditOutcome {
                try await scene.store.edit(letter, value: [], eventID: EventID(high: 8, low: 8), by: LetterScene.audit)
            }
            #expect(try await outcome(2) == .skipped(.isRetrying))
            #expect(try await outcome(4) == .skipped(.isDiscarded))
            #expect(try await outcome(77) == .noSuchLetter)
            // A value that only the consumer has can be replaced by a value that can be sent.
            try await scene.connection.execute("UPDATE dead_letters SET value = NULL, value_kept = 'consumer'")
            #expect(try await outcome(1) == .edited(3))
        }
    }
}

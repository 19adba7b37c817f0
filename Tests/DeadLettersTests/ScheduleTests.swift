import Postgres
import StreamCore
import TestKit
import Testing

@testable import DeadLetters

/// Decides when the scheduler sends which of the letters that wait for each other.
@Suite struct ScheduleTests {
    private func name(_ offset: Int64) -> LetterName { plainLetter(offset: offset).name }

    /// The offsets of the letters that were sent since the last call.
    private func sent(_ desk: Desk) async throws -> [String] {
        let sends = try await desk.lines(
            """
            SELECT l.origin_offset::text FROM dead_letter_sends JOIN dead_letters AS l USING (letter_id)
            ORDER BY send_id
            """)
        try await desk.database.execute(script: "DELETE FROM dead_letter_sends")
        return sends
    }

    @Test func theFirstOfASequenceIsSentAloneUntilItIsApplied() async throws {
        try await Desk.run { desk in
            try await desk.ingest(plainLetter(offset: 1))
            try await desk.ingest((2...100).map { .letter(plainLetter(.blocked, offset: $0)) })
            // A request to retry a later letter sends the first letter, and only once.
            for delivery in Int32(2)...4 {
                try await desk.database.execute(
                    script: "UPDATE dead_letters SET next_attempt_at = now() WHERE origin_offset IN (40, 60)")
                #expect(try await desk.scheduler.sendDue() == 1)
                #expect(try await sent(desk) == ["1"])
                #expect(try await desk.scheduler.sendDue() == 0)
                try await desk.ingest(plainLetter(offset: 1, delivery: delivery))
                #expect(try await desk.scheduler.sendDue() == 0)
            }
            // A retry is requested again while the first letter is in flight. After it fails, it is sent once more.
            try await desk.database.execute(
                script: "UPDATE dead_letters SET next_attempt_at = now() WHERE origin_offset IN (1, 40)")
            #expect(try await desk.scheduler.sendDue() == 1)
            try await desk.database.execute(
                script: "UPDATE dead_letters SET next_attempt_at = now() WHERE origin_offset = 60")
            #expect(try await desk.scheduler.sendDue() == 0)
            try await desk.ingest(plainLetter(offset: 1, delivery: 5))
            #expect(try await desk.scheduler.sendDue() == 1)
            #expect(try await sent(desk) == ["1", "1"])
            let last = "SELECT max(delivery)::bigint FROM dead_letters WHERE origin_offset > 1"
            #expect(try await desk.number(last) == 1)
            try await desk.checkGroups()
        }
    }

    @Test func whatWaitsFlowsInSetsThatGrow() async throws {
        try await Desk.run({ $0.sequenceLetters = 100 }) { desk in
            try await desk.ingest(plainLetter(offset: 1))
            try await desk.ingest((2...400).map { .letter(plainLetter(.blocked, offset: $0)) })
            try await desk.database.execute(
                script: "UPDATE dead_letters SET next_attempt_at = now() WHERE origin_offset = 1")
            var sizes: [Int] = []
            func step(_ failing: Int64? = nil) async throws {
                _ = try await desk.scheduler.sendDue()
                let offsets = try await sent(desk).compactMap { Int64($0) }
                sizes.append(offsets.count)
                let deliveries = try await desk.lines(
                    "SELECT delivery::text FROM dead_letters WHERE state = 'retrying' ORDER BY letter_id")
                let delivery = deliveries.first.flatMap { Int32($0) } ?? 0
                try await desk.ingest(
                    offsets.map { offset in
                        guard let failing, offset >= failing else { return .resolved(name(offset), delivery: delivery) }
                        return .letter(
                            plainLetter(offset == failing ? .failed : .blocked, offset: offset, delivery: delivery))
                    })
            }
            for _ in 0..<3 { try await step() }
            #expect(sizes == [1, 8, 64])
            // A letter in the next set fails. From there on, the set size starts at one again.
            try await step(100)
            #expect(sizes == [1, 8, 64, 100])
            #expect(try await desk.scheduler.sendDue() == 0)
            try await desk.database.execute(
                script: "UPDATE dead_letters SET next_attempt_at = now() WHERE origin_offset = 100")
            for _ in 0..<5 { try await step() }
            #expect(sizes == [1, 8, 64, 100, 1, 8, 64, 100, 100])
            while try await desk.number("SELECT count(*) FROM dead_letters WHERE state <> 'resolved'") > 0 {
                try await step()
            }
            #expect(try await desk.number("SELECT count(*) FROM dead_letters WHERE state = 'resolved'") == 400)
            try await desk.checkGroups()
        }
    }

    /// Sends 400 letters of a key in sets of at most 100, up to the first full set. The first `answered` letters of
    /// that set are applied.
    private func runFullSet(_ answered: Int64, _ body: (Desk) async throws -> Void) async throws {
        try await Desk.run({ $0.sequenceLetters = 100 }) { desk in
            try await desk.ingest(plainLetter(offset: 1))
            try await desk.ingest((2...400).map { .letter(plainLetter(.blocked, offset: $0)) })
            try await desk.database.execute(
                script: "UPDATE dead_letters SET next_attempt_at = now() WHERE origin_offset = 1")
            for size in [1, 8, 64] {
                #expect(try await desk.scheduler.sendDue() == size)
                let offsets = try await sent(desk).compactMap { Int64($0) }
                try await desk.ingest(offsets.map { .resolved(name($0), delivery: 2) })
            }
            #expect(try await desk.scheduler.sendDue() == 100)
            #expect(try await sent(desk) == (74...173).map(String.init))
            try await resolve(74..<(74 + answered), desk)
            try await body(desk)
        }
    }

    private func resolve(_ offsets: Range<Int64>, _ desk: Desk) async throws {
        try await desk.ingest(offsets.map { .resolved(name($0), delivery: 2) })
    }

    @Test func aFullSetIsFollowedWhenHalfOfItIsOver() async throws {
        try await runFullSet(49) { desk in
            #expect(try await desk.scheduler.sendDue() == 0)
            try await resolve(123..<124, desk)
            #expect(try await desk.scheduler.sendDue() == 100)
            #expect(try await sent(desk) == (174...273).map(String.init))
            // Now 150 letters are in flight.
            try await resolve(124..<223, desk)
            #expect(try await desk.scheduler.sendDue() == 0)
            try await resolve(223..<224, desk)
            #expect(try await desk.scheduler.sendDue() == 100)
            #expect(try await sent(desk) == (274...373).map(String.init))
            // All answers to the last sets arrive together. Then the remaining letters are sent.
            try await resolve(224..<374, desk)
            #expect(try await desk.scheduler.sendDue() == 27)
            #expect(try await sent(desk) == (374...400).map(String.init))
            try await resolve(374..<401, desk)
            #expect(try await desk.number("SELECT count(*) FROM dead_letters WHERE state = 'resolved'") == 400)
            try await desk.checkGroups()
        }
    }

    @Test func nothingFollowsASetOfWhichOneHasFailed() async throws {
        try await runFullSet(50) { desk in
            // The next set was due but not sent yet.
            #expect(
                try await desk.lines("SELECT origin_offset::text FROM dead_letters WHERE next_attempt_at = '-infinity'")
                    == ["174"])
            try await desk.ingest(plainLetter(.failed, offset: 124, delivery: 2))
            #expect(try await desk.scheduler.sendDue() == 0)
            try await desk.ingest((125...173).map { .letter(plainLetter(.blocked, offset: $0, delivery: 2)) })
            #expect(try await desk.scheduler.sendDue() == 0)
            #expect(try await desk.number("SELECT count(*) FROM dead_letters WHERE next_attempt_at IS NOT NULL") == 0)
            try await goOnBehindFailure(desk)
        }
    }

    @Test func whatFollowedInVainComesAgainInOrder() async throws {
        try await runFullSet(50) { desk in
            #expect(try await desk.scheduler.sendDue() == 100)
            #expect(try await sent(desk) == (174...273).map(String.init))
            try await desk.ingest(plainLetter(.failed, offset: 124, delivery: 2))
            try await desk.ingest((125...273).map { .letter(plainLetter(.blocked, offset: $0, delivery: 2)) })
            #expect(try await desk.scheduler.sendDue() == 0)
            #expect(try await desk.number("SELECT count(*) FROM dead_letters WHERE next_attempt_at IS NOT NULL") == 0)
            try await goOnBehindFailure(desk)
        }
    }

    /// Letter 124 failed and is repaired. All later letters are sent in order, and the set size starts at one again.
    private func goOnBehindFailure(_ desk: Desk) async throws {
        try await desk.database.execute(
            script: "UPDATE dead_letters SET next_attempt_at = now() WHERE origin_offset = 124")
        var received: [Int64] = []
        var sizes: [Int] = []
        while try await desk.scheduler.sendDue() > 0 {
            let offsets = try await sent(desk).compactMap { Int64($0) }
            received += offsets
            sizes.append(offsets.count)
            try await desk.ingest(offsets.map { .resolved(name($0), delivery: 100) })
        }
        #expect(sizes == [1, 8, 64, 100, 100, 4])
        #expect(received == Array(124...400))
        try await desk.checkGroups()
    }

    /// A retry of a much later letter is requested while the next set is due.
    @Test func whoAsksForALaterLetterIsNotForgottenByWhatFollows() async throws {
        try await runFullSet(50) { desk in
            try await desk.database.execute(
                script: "UPDATE dead_letters SET next_attempt_at = now() WHERE origin_offset IN (200, 350)")
            #expect(try await desk.scheduler.sendDue() == 100)
            #expect(try await sent(desk) == (174...273).map(String.init))
            let waiting = "SELECT origin_offset::text FROM dead_letters WHERE next_attempt_at = 'infinity'"
            #expect(try await desk.lines(waiting) == ["350"])
            try await desk.checkGroups()
        }
    }

    /// A letter that failed itself is sent after the letters before it only if its retry was requested.
    @Test func whoAskedIsSentWhenThoseBeforeAreOver() async throws {
        try await Desk.run { desk in
            try await desk.ingest((1...3).map { .letter(plainLetter(offset: $0)) })
            try await desk.database.execute(
                script: "UPDATE dead_letters SET next_attempt_at = now() WHERE origin_offset < 3")
            #expect(try await desk.scheduler.sendDue() == 1)
            try await desk.ingest([.resolved(name(1), delivery: 2)])
            #expect(try await desk.scheduler.sendDue() == 1)
            try await desk.ingest([.resolved(name(2), delivery: 2)])
            #expect(try await desk.scheduler.sendDue() == 0)
            #expect(try await desk.states() == ["resolved", "resolved", "pending"])
        }
    }

    /// The scheduler saw the first letter in flight. When it gets the row lock, the letter is already resolved.
    @Test func noLetterWaitsForOneThatIsOver() async throws {
        try await Desk.run { desk in
            try await desk.ingest(plainLetter(offset: 1), plainLetter(.blocked, offset: 2))
            try await desk.database.execute(
                script: "UPDATE dead_letters SET next_attempt_at = now() WHERE origin_offset = 1")
            #expect(try await desk.scheduler.sendDue() == 1)
            #expect(try await sent(desk) == ["1"])
            try await desk.database.execute(
                script: "UPDATE dead_letters SET next_attempt_at = now() WHERE origin_offset = 2")
            let ingesting = try await PostgresConnection.connect(desk.sessions)
            let scheduling = try await ingesting.withTransaction { transaction in
                try await desk.writer.write([.resolved(name(1), delivery: 2)], in: transaction)
                let scheduling = Task { try await desk.scheduler.sendDue() }
                try await eventually {
                    try await transaction.execute(
                        """
                        SELECT count(*) FROM pg_locks
                        WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))
                        """
                    ).int64(0, 0) > 0
                }
                return scheduling
            }
            await ingesting.close()
            #expect(try await scheduling.value == 0)
            #expect(try await desk.scheduler.sendDue() == 1)
            #expect(try await sent(desk) == ["2"])
        }
    }

    @Test func stuckLettersAreSentAgainEachTimeLater() async throws {
        try await Desk.run({ $0.stuckAfterMs = 60_000 }) { desk in
            try await desk.ingest(
                plainLetter(offset: 1), plainLetter(.blocked, offset: 2), plainLetter(.blocked, offset: 3))
            try await desk.ingest([.resolved(name(1), delivery: 1)])
            #expect(try await desk.scheduler.sendDue() == 2)
            let age = { (seconds: Int) in
                try await desk.database.execute(
                    script: "UPDATE dead_letters SET state_since = now() - interval '\(seconds) s'")
            }
            try await age(61)
            // These letters were not sent yet. They wait for the sender, not for the consumer.
            #expect(try await desk.scheduler.sendStuckAgain() == 0)
            try await desk.database.execute(script: "DELETE FROM dead_letter_sends WHERE letter_id = 2")
            #expect(try await desk.scheduler.sendStuckAgain() == 0)
            try await desk.database.execute(script: "DELETE FROM dead_letter_sends")
            try await age(59)
            #expect(try await desk.scheduler.sendStuckAgain() == 0)
            try await age(61)
            #expect(try await desk.scheduler.sendStuckAgain() == 2)
            #expect(try await desk.scheduler.sendDue() == 2)
            #expect(try await sent(desk) == ["2", "3"])
            try await age(61)
            #expect(try await desk.scheduler.sendStuckAgain() == 0)
            try await age(121)
            #expect(try await desk.scheduler.sendStuckAgain() == 2)
            #expect(
                try await desk.lines("SELECT action FROM dead_letter_history WHERE letter_id = 2 ORDER BY at")
                    == ["parked", "sent", "sent_again", "sent", "sent_again"])
            // Any answer resets the growing interval, even the answer that another event comes before this one.
            #expect(try await desk.scheduler.sendDue() == 2)
            try await desk.ingest(plainLetter(.blocked, offset: 2, delivery: 4))
            #expect(try await desk.number("SELECT unanswered::bigint FROM dead_letters WHERE origin_offset = 2") == 0)
            try await desk.checkGroups()
        }
    }

    /// If only a part of a set is stuck, one pass sends the whole set again.
    @Test func aLargeSetThatIsStuckGoesAgainAtOnce() async throws {
        try await Desk.run({ ($0.stuckAfterMs, $0.stuckLetters) = (60_000, 10) }) { desk in
            try await desk.ingest((1...10_000).map { .letter(plainLetter(.blocked, offset: $0)) })
            try await desk.database.execute(
                script: "UPDATE dead_letters SET set_size = 10000; UPDATE dead_letters SET next_attempt_at = now()")
            #expect(try await desk.scheduler.sendDue() == 10_000)
            #expect(try await sent(desk).count == 10_000)
            try await desk.database.execute(
                script: "UPDATE dead_letters SET state_since = now() - interval '61 s' WHERE origin_offset > 5000")
            #expect(try await desk.scheduler.sendStuckAgain() == 10_000)
            #expect(try await desk.number("SELECT count(*) FROM dead_letters WHERE next_attempt_at IS NOT NULL") == 1)
            #expect(try await desk.scheduler.sendDue() == 10_000)
            try await desk.checkGroups()
        }
    }
}

import Kafka
import Postgres
import StreamCore
import Testing

@testable import DeadLetters

/// A letter belongs to one version of a projection and to one record.
@Suite struct IdentityTests {
    private func letter(
        _ reason: LetterReason = .failed, group: String = "g.v1", mark: String = "1000", offset: Int64 = 1,
        delivery: Int32 = 1
    ) -> Letter {
        var letter = plainLetter(reason, offset: offset, delivery: delivery)
        letter.name = LetterName(
            consumer: letter.name.consumer, group: group, origin: letter.name.origin, offset: offset, mark: mark)
        return letter
    }

    private func letters(_ desk: Desk) async throws -> [String] {
        try await desk.lines(
            "SELECT consumer_group, origin_mark, origin_offset::text, state FROM dead_letters ORDER BY letter_id")
    }

    @Test func twoVersionsHaveTheirOwnLettersOfOneRecord() async throws {
        try await Desk.run { desk in
            try await desk.ingest(letter(), letter(.blocked, offset: 2), letter(group: "g.v2"))
            try await desk.ingest(letter(.blocked, group: "g.v2", offset: 2))
            // The first letter of each version is sent, whatever happens to that of the other version.
            try await desk.database.execute(script: "UPDATE dead_letters SET next_attempt_at = now()")
            #expect(try await desk.scheduler.sendDue() == 2)
            let page = try await QueuedSend.page(letters: 10, bytes: 1 << 20, without: [], on: desk.database)
            #expect(page.map(\.group) == ["g.v1", "g.v2"] && page.map(\.mark) == ["1000", "1000"])
            try await desk.ingest([.resolved(letter(group: "g.v2").name, delivery: 2)])
            #expect(
                try await letters(desk) == [
                    "g.v1 1000 1 retrying", "g.v1 1000 2 pending", "g.v2 1000 1 resolved", "g.v2 1000 2 pending",
                ])
            // Only the letter that waited for the resolved one is sent.
            #expect(try await desk.scheduler.sendDue() == 1)
            #expect(try await desk.number("SELECT count(*) FROM dead_letters WHERE state = 'retrying'") == 2)
            try await desk.checkGroups()
        }
    }

    @Test func aTopicMadeAgainHasOtherRecordsAtTheSamePlaces() async throws {
        try await Desk.run { desk in
            try await desk.ingest(letter())
            try await desk.ingest([.resolved(letter().name, delivery: 2)])
            // The same letter comes again, and a letter of another record comes.
            try await desk.ingest(letter(), letter(mark: "2000"))
            #expect(try await letters(desk) == ["g.v1 1000 1 resolved", "g.v1 2000 1 pending"])
            try await desk.ingest([.resolved(letter(mark: "2000").name, delivery: 2)])
            #expect(try await letters(desk) == ["g.v1 1000 1 resolved", "g.v1 2000 1 resolved"])

            let foreign = LetterReader(.foreign(dialect: .kip1191, consumer: "billing"))
            func read(_ value: [UInt8]?) -> LetterNotice {
                let origin = [("topic", "orders"), ("partition", "0"), ("offset", "7")]
                return foreign.read(
                    LetterRecord(
                        topicPartition: TopicPartition(topic: "dlq.billing", partition: 0), offset: 1, key: [1],
                        value: value,
                        headers: origin.map { RecordHeader(name: "__dlq.errors.\($0)", value: Array($1.utf8)) }))
            }
            try await desk.ingest([read([1]), read([1]), read([2]), read(nil), read([])])
            #expect(try await desk.number("SELECT count(*) FROM dead_letters WHERE consumer = 'billing'") == 4)
            #expect(DeadLetterIngest.eventID(of: record(1)) == DeadLetterIngest.eventID(of: record(1)))
            #expect(DeadLetterIngest.eventID(of: record(1)) != DeadLetterIngest.eventID(of: record(2)))
        }
    }

    private func record(_ timestampMs: Int64) -> LetterRecord {
        LetterRecord(
            topicPartition: TopicPartition(topic: "dlq.orders", partition: 0), offset: 1, timestampMs: timestampMs)
    }

    /// These letters were stored, and these deliveries were sent, before letters had a group.
    @Test func answersFindLettersOfBefore() async throws {
        try await Desk.run { desk in
            try await desk.ingest(letter(group: "", mark: "1000"))
            // A letter that is not an answer belongs to the other version.
            try await desk.ingest(letter(group: "g.v2"))
            #expect(try await letters(desk) == [" 1000 1 pending", "g.v2 1000 1 pending"])
            try await desk.ingest([.resolved(letter(group: "g.v1").name, delivery: 2)])
            // One batch names a letter in two ways: the first delivery did not contain the timestamp of the record.
            try await desk.ingest([
                .letter(letter(group: "g.v2", mark: "", delivery: 2)),
                .resolved(letter(group: "g.v2").name, delivery: 3),
            ])
            #expect(try await letters(desk) == [" 1000 1 resolved", "g.v2 1000 1 resolved"])
            try await desk.checkGroups()
        }
    }

    /// The consumer has a parked row before this event, but no open letter belongs to that row.
    @Test func aFirstLetterThatIsCalledBlockedIsTriedAgainLater() async throws {
        try await Desk.run { desk in
            try await desk.ingest(letter(), letter(.blocked, offset: 2), letter(.blocked, offset: 3))
            try await desk.database.execute(
                script: "UPDATE dead_letters SET next_attempt_at = now() WHERE letter_id = 1")
            #expect(try await desk.scheduler.sendDue() == 1)
            try await desk.ingest(letter(.blocked, delivery: 2))
            #expect(
                try await desk.lines(
                    """
                    SELECT (next_attempt_at BETWEEN clock_timestamp() + interval '50 s'
                        AND clock_timestamp() + interval '60 s')::text FROM dead_letters ORDER BY letter_id
                    """) == ["true", "NULL", "NULL"])
        }
    }
}

import Postgres
import StreamCore
import TestKit
import Testing

@testable import DeadLetters

/// The number of rows that the statements read must not depend on the planner's statistics. The schema keeps its tables
/// consistent.
@Suite struct StatementTests {
    /// Number of rows of `dead_letters` that were read so far.
    private func rowsRead(_ desk: Desk) async throws -> Int64 {
        try await desk.database.execute(script: "SELECT pg_stat_force_next_flush()")
        return try await desk.number(
            """
            SELECT (coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_user_tables
            WHERE relid = 'dead_letters'::regclass
            """)
    }

    /// Adds one long sequence and collects statistics. The planner then expects every sequence to be that long.
    private func fillLongSequence(_ desk: Desk, letters: Int) async throws {
        try await desk.database.execute(script: "ALTER TABLE dead_letters SET (autovacuum_enabled = off)")
        try await desk.database.execute(
            script: """
                INSERT INTO dead_letters (
                    consumer, consumer_group, origin_topic, origin_partition, origin_offset, key, value, value_kept,
                    header_names, header_values, sequence, state, reason, error_class, message, first_error_class,
                    first_message, fingerprint, dialect, replay_topic)
                SELECT 'orders', '', 'order-events', 0, 1000000 + n, 'long', 'x', 'here', '{}', '{}', sha256('long'),
                    'pending', 'blocked', 'c', 'm', 'c', 'm', '0000000000000001', 'millrace', 'retry.orders'
                FROM generate_series(1, \(letters)) AS n ORDER BY n
                """)
        try await desk.database.execute(script: "VACUUM (ANALYZE) dead_letters")
    }

    /// 10,000 letters have 500 keys, and 30,000 letters have one key. A statement that scans the letters in the order
    /// of their numbers for a short sequence reads the 30,000 each time, which is fifteen million rows.
    @Test func shortSequencesBesideALongOneAreFoundByIndex() async throws {
        try await Desk.run { desk in
            try await fillLongSequence(desk, letters: 30_000)
            let most: Int64 = 500_000

            var read = try await rowsRead(desk)
            for batch in 0..<5 {
                try await desk.ingest(
                    (0..<2_000).map { index in
                        let offset = Int64(batch * 2_000 + index)
                        return .letter(
                            plainLetter(offset < 500 ? .failed : .blocked, offset: offset, key: "k\(offset % 500)"))
                    })
            }
            #expect(try await rowsRead(desk) - read < most, "ingesting new letters")

            try await desk.database.execute(
                script: "UPDATE dead_letters SET next_attempt_at = now() WHERE origin_offset < 1000000")
            read = try await rowsRead(desk)
            let sent = try await desk.scheduler.sendDue()
            #expect(try await rowsRead(desk) - read < most, "scheduling")
            #expect((1...500).contains(sent))

            let offsets = try await desk.lines(
                "SELECT l.origin_offset::text FROM dead_letter_sends JOIN dead_letters AS l USING (letter_id)")
            #expect(offsets.count == sent)
            try await desk.database.execute(script: "DELETE FROM dead_letter_sends")
            read = try await rowsRead(desk)
            try await desk.ingest(
                offsets.compactMap { Int64($0) }.map { .resolved(plainLetter(offset: $0).name, delivery: 2) })
            #expect(try await rowsRead(desk) - read < most, "ingesting answers, and making the next letters due")

            try await desk.database.execute(
                script: """
                    UPDATE dead_letters SET state = 'retrying', state_since = '2020-01-01'
                    WHERE state = 'pending' AND origin_offset < 1000000
                    """)
            read = try await rowsRead(desk)
            #expect(try await desk.scheduler.sendStuckAgain() > 0)
            #expect(try await rowsRead(desk) - read < most, "sending stuck letters again")
            try await desk.checkGroups()
        }
    }

    /// The schema checks these references like foreign keys, but once for each statement.
    @Test func historyAndSendsBelongToALetter() async throws {
        try await Desk.run { desk in
            try await desk.ingest(plainLetter(offset: 1), plainLetter(offset: 2, key: "b"))
            for insert in [
                "dead_letter_history (letter_id, actor, action) VALUES (1, 'a', 'b'), (99, 'a', 'b')",
                "dead_letter_sends (letter_id, action, delivery) VALUES (1, 'apply', 2), (99, 'apply', 2)",
            ] {
                let error = await #expect(throws: PostgresError.self) {
                    try await desk.database.execute(script: "INSERT INTO \(insert)")
                }
                #expect(error?.sqlState?.code == "23503")
            }
            #expect(try await desk.number("SELECT count(*) FROM dead_letter_history") == 2)
            try await desk.database.execute(
                script: """
                    INSERT INTO dead_letter_sends (letter_id, action, delivery) VALUES (1, 'apply', 2), (2, 'apply', 2)
                    """)
            try await desk.database.execute(script: "DELETE FROM dead_letters WHERE letter_id = 1")
            for table in ["dead_letter_history", "dead_letter_sends"] {
                #expect(try await desk.lines("SELECT letter_id::text FROM \(table)") == ["2"])
            }
        }
    }

    /// A correction that is applied is stored for rebuilds. One statement stores it for all letters that are resolved
    /// together. The newest value of a letter counts, and the newest letter of a record. A letter that was not
    /// corrected or not applied leaves no decision.
    @Test func correctionsAreDecisionsOnceTheyAreApplied() async throws {
        try await Desk.run { desk in
            func letter(_ offset: Int64, group: String = "g.v1") -> Letter {
                var letter = plainLetter(offset: offset, key: "k\(offset)")
                letter.name = LetterName(
                    consumer: letter.name.consumer, group: group, origin: letter.name.origin, offset: offset,
                    mark: "1500")
                letter.originAt = Timestamp(microseconds: 1_500_000)
                return letter
            }
            let all = [letter(1), letter(1, group: "g.v2"), letter(2), letter(3), letter(4)]
            try await desk.ingest(all.map { .letter($0) })
            try await desk.database.execute(
                script: """
                    INSERT INTO dead_letter_edits (letter_id, edit, value, event_id, actor, reason)
                    SELECT letter_id, number, convert_to(consumer_group || ' ' || number, 'UTF8'), gen_random_uuid(),
                        'a', 'r'
                    FROM dead_letters, generate_series(1, 2) AS number WHERE origin_offset IN (1, 2, 4)
                    """)
            #expect(try await desk.number("SELECT count(*) FROM event_decisions") == 0)
            try await desk.ingest(all.prefix(4).map { .resolved($0.name, delivery: 2) })
            let decided = """
                SELECT consumer, topic, record_offset::text, record_timestamp::text,
                    convert_from(corrected_value, 'UTF8')
                FROM event_decisions ORDER BY record_offset
                """
            let (consumer, topic) = (all[0].name.consumer, all[0].name.origin.topic)
            #expect(
                try await desk.lines(decided) == [
                    "\(consumer) \(topic) 1 1500 g.v2 2", "\(consumer) \(topic) 2 1500 g.v1 2",
                ])
            // Another answer to the same letters changes nothing. A later change of their state makes no new decision.
            try await desk.database.execute(script: "UPDATE event_decisions SET corrected_value = 'other'")
            try await desk.database.execute(script: "UPDATE dead_letters SET state_since = now()")
            #expect(try await desk.number("SELECT count(*) FROM event_decisions WHERE corrected_value = 'other'") == 2)
        }
    }
}

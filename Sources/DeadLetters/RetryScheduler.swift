internal import Postgres
internal import StreamCore

/// Decides which letters are sent: due letters with the letters of their keys, and letters without an answer. It works
/// in the session that holds the handler's lock, so only one scheduler works.
struct RetryScheduler: Sendable {
    let connection: PostgresConnection
    let configuration: DeadLetterHandlerConfiguration

    /// If no letter of a key is in flight, the first letters of the key are sent: one alone while it fails, otherwise a
    /// set of the size in ``SequencePromotion``. A request for a later letter includes the letters before it: the
    /// request passes to the first letter, and the later letter is sent after those before it. If the first letter is
    /// in flight, it is sent again if it fails.
    ///
    /// After half of a full set is finished, the next set follows (see ``SequencePromotion``). Its first letter is due
    /// at '-infinity' and is sent behind the letters in flight while none of them has failed. Otherwise it was not
    /// requested and waits again.
    ///
    /// The rows are locked in the order of their numbers, as in ingesting and in commands of operators. Letters beyond
    /// the limits stay due, or follow after the letters before them are answered. The same holds for a letter whose
    /// first letter finished before its row could be locked, because nothing else would wake it.
    ///
    /// Results are passed as arrays. The planner expects few elements of an array and looks letters up by number. For a
    /// common table expression it may expect so many that it reads all letters.
    private static let sendDue: Statement = """
        WITH due AS MATERIALIZED (
            SELECT letter_id, consumer, origin_topic, sequence, next_attempt_at FROM dead_letters AS l
            WHERE state = 'pending' AND next_attempt_at <= clock_timestamp()
            ORDER BY next_attempt_at LIMIT $1
        ), sequences AS MATERIALIZED (
            SELECT d.*, under_way.behind, coalesce(next.letter_id, head.letter_id) AS head,
                CASE WHEN next.letter_id IS NOT NULL THEN least(next.set_size, $2)
                    WHEN head.reason = 'failed' THEN 1 ELSE least(head.set_size, $2) END AS set_size,
                next.letter_id IS NOT NULL OR under_way.behind = 0
                    AND (d.letters IS NOT NULL OR d.follower = head.letter_id) AS is_free
            FROM (
                SELECT consumer, origin_topic, sequence, min(next_attempt_at) AS since,
                    array_agg(letter_id) FILTER (WHERE next_attempt_at > '-infinity') AS letters,
                    min(letter_id) FILTER (WHERE next_attempt_at = '-infinity') AS follower
                FROM due WHERE sequence IS NOT NULL GROUP BY consumer, origin_topic, sequence) AS d
            CROSS JOIN LATERAL dead_letters_open_of(d.consumer, d.origin_topic, d.sequence, 1) AS head
            CROSS JOIN LATERAL (
                SELECT dead_letters_last_under_way_of(d.consumer, d.origin_topic, d.sequence) AS behind OFFSET 0
            ) AS under_way
            LEFT JOIN LATERAL (
                SELECT behind.letter_id, behind.set_size
                FROM dead_letters_open_behind(d.consumer, d.origin_topic, d.sequence, under_way.behind, 1) AS behind
            ) AS next ON under_way.behind > 0 AND head.state = 'retrying' AND next.letter_id = d.follower
            ORDER BY d.since
        ), members AS MATERIALIZED (
            SELECT member.letter_id, s.set_size
            FROM (SELECT * FROM sequences WHERE is_free) AS s
            CROSS JOIN LATERAL dead_letters_open_behind(
                s.consumer, s.origin_topic, s.sequence, s.behind, s.set_size) AS member
            LIMIT $3
        ), asking AS MATERIALIZED (
            SELECT asking.letter_id, s.head, s.is_free
            FROM sequences AS s CROSS JOIN LATERAL unnest(s.letters) AS asking (letter_id)
            WHERE asking.letter_id <> s.head AND (NOT s.is_free OR s.head IN (SELECT letter_id FROM members))
                AND asking.letter_id NOT IN (SELECT letter_id FROM members)
        ), targets AS MATERIALIZED (
            SELECT letter_id, 'send' AS role, set_size, NULL::bigint AS head FROM members
            UNION ALL SELECT letter_id, 'send', 1, NULL FROM due WHERE sequence IS NULL
            UNION ALL SELECT letter_id, 'wait', 1, head FROM asking
            UNION ALL SELECT DISTINCT head, 'ask', 1, NULL::bigint FROM asking WHERE NOT is_free
            UNION ALL SELECT follower, 'give up', 1, NULL FROM sequences
            WHERE follower <> head AND follower NOT IN (SELECT letter_id FROM members)
        ), locked AS MATERIALIZED (
            SELECT own.letter_id, t.role, t.set_size, t.head
            FROM unnest(
                ARRAY(SELECT letter_id FROM targets ORDER BY letter_id),
                ARRAY(SELECT role FROM targets ORDER BY letter_id),
                ARRAY(SELECT set_size FROM targets ORDER BY letter_id),
                ARRAY(SELECT head FROM targets ORDER BY letter_id)) AS t (letter_id, role, set_size, head)
            CROSS JOIN LATERAL (
                SELECT letter_id FROM dead_letters AS l
                WHERE l.letter_id = t.letter_id AND (l.state = 'pending' OR l.state = 'retrying' AND t.role = 'ask')
                FOR UPDATE
            ) AS own
        ), sent AS (
            UPDATE dead_letters AS l
            SET state = 'retrying', delivery = delivery + 1, next_attempt_at = NULL, state_since = clock_timestamp(),
                set_size = locked.set_size
            FROM locked WHERE l.letter_id = locked.letter_id AND locked.role = 'send'
            RETURNING l.letter_id, l.delivery, l.edit
        ), passed_on AS (
            UPDATE dead_letters AS l
            SET next_attempt_at = CASE locked.role
                WHEN 'ask' THEN clock_timestamp() WHEN 'wait' THEN 'infinity'::timestamptz END
            FROM locked
            WHERE l.letter_id = locked.letter_id AND (locked.role IN ('ask', 'give up') OR locked.role = 'wait'
                AND locked.head IN (SELECT letter_id FROM locked AS own WHERE own.role <> 'wait'))
        ), queued AS (
            INSERT INTO dead_letter_sends (letter_id, action, delivery, edit)
            SELECT letter_id, 'apply', delivery, edit FROM sent ORDER BY letter_id
        )
        INSERT INTO dead_letter_history (letter_id, actor, action, from_state, to_state, reason)
        SELECT letter_id, 'dead-letter-handler', 'sent', 'pending', 'retrying', 'delivery ' || delivery
        FROM sent ORDER BY letter_id
        """

    /// Maximum number of letters that one statement sends, besides letters without a key.
    private static let lettersAtOnce: Int64 = 10_000

    /// Moves due letters and their sequences to the sends.
    ///
    /// - Returns: the number of letters.
    func sendDue() async throws -> Int {
        let parameters = Parameters {
            $0.append(Int64(configuration.dueLettersAtOnce))
            $0.append(Int64(configuration.sequenceLetters))
            $0.append(Self.lettersAtOnce)
        }
        return try await connection.withTransaction { transaction in
            try await transaction.execute(Self.sendDue, parameters).affectedRows
        }
    }

    /// Each delivery without an answer doubles the waiting time. All letters of a key in flight are sent again from the
    /// first one, because they were sent together and are applied only in order.
    ///
    /// IS TRUE prevents the planner from searching each letter among all letters in flight.
    private static let sendStuckAgain: Statement = """
        WITH stuck AS MATERIALIZED (
            SELECT letter_id, consumer, origin_topic, sequence FROM dead_letters AS l
            WHERE state = 'retrying' AND state_since < clock_timestamp() - $1 * interval '1 ms'
                AND state_since < clock_timestamp() - $1 * power(2, least(5, unanswered)) * interval '1 ms'
                AND NOT EXISTS (SELECT FROM dead_letter_sends AS s WHERE s.letter_id = l.letter_id)
            ORDER BY state_since LIMIT $2
        ), sets AS MATERIALIZED (
            SELECT s.*, array_agg(member.letter_id ORDER BY member.letter_id) AS letters
            FROM (SELECT DISTINCT consumer, origin_topic, sequence FROM stuck WHERE sequence IS NOT NULL) AS s
            CROSS JOIN LATERAL dead_letters_under_way_of(s.consumer, s.origin_topic, s.sequence, NULL) AS member
            GROUP BY s.consumer, s.origin_topic, s.sequence
            HAVING NOT bool_or(member.letter_id IN (SELECT letter_id FROM dead_letter_sends))
        ), members AS MATERIALIZED (
            SELECT letter_id, true AS is_first FROM stuck WHERE sequence IS NULL
            UNION ALL
            SELECT member.letter_id, member.place = 1
            FROM sets AS s CROSS JOIN LATERAL unnest(s.letters) WITH ORDINALITY AS member (letter_id, place)
        ), locked AS MATERIALIZED (
            SELECT own.letter_id, m.is_first
            FROM unnest(
                ARRAY(SELECT letter_id FROM members ORDER BY letter_id),
                ARRAY(SELECT is_first FROM members ORDER BY letter_id)) AS m (letter_id, is_first)
            CROSS JOIN LATERAL (
                SELECT letter_id FROM dead_letters AS l
                WHERE l.letter_id = m.letter_id AND (l.state = 'retrying') IS TRUE FOR UPDATE
            ) AS own
        ), again AS (
            UPDATE dead_letters AS l
            SET state = 'pending', state_since = clock_timestamp(), unanswered = unanswered + 1,
                next_attempt_at = CASE WHEN locked.is_first THEN clock_timestamp() END
            FROM locked WHERE l.letter_id = locked.letter_id
            RETURNING l.letter_id, l.delivery
        )
        INSERT INTO dead_letter_history (letter_id, actor, action, from_state, to_state, reason)
        SELECT letter_id, 'dead-letter-handler', 'sent_again', 'retrying', 'pending',
            'no answer to delivery ' || delivery
        FROM again ORDER BY letter_id
        """

    /// Sends unconfirmed discards to their consumers again. Until the confirmation, keys may wait for finished letters.
    private static let discardAgain: Statement = """
        WITH open AS MATERIALIZED (
            SELECT letter_id FROM dead_letters AS l
            WHERE is_discard_open AND state = 'discarded' AND next_attempt_at <= clock_timestamp()
                AND NOT EXISTS (SELECT FROM dead_letter_sends AS s WHERE s.letter_id = l.letter_id)
            ORDER BY next_attempt_at LIMIT $1
        ), locked AS MATERIALIZED (
            SELECT letter_id FROM dead_letters
            WHERE letter_id = ANY (ARRAY(SELECT letter_id FROM open)) AND is_discard_open AND state = 'discarded'
            ORDER BY letter_id FOR UPDATE
        ), again AS (
            UPDATE dead_letters AS l
            SET delivery = delivery + 1, unanswered = unanswered + 1, next_attempt_at = NULL
            FROM locked WHERE l.letter_id = locked.letter_id
            RETURNING l.letter_id, l.delivery
        ), queued AS (
            INSERT INTO dead_letter_sends (letter_id, action, delivery, edit)
            SELECT letter_id, 'discard', delivery, 0 FROM again ORDER BY letter_id
        )
        INSERT INTO dead_letter_history (letter_id, actor, action, from_state, to_state, reason)
        SELECT letter_id, 'dead-letter-handler', 'discard_sent_again', 'discarded', 'discarded',
            'no answer to delivery ' || delivery - 1
        FROM again ORDER BY letter_id
        """

    /// Makes letters due that were sent and not answered, and queues unanswered discards again.
    ///
    /// - Returns: the number of letters.
    func sendStuckAgain() async throws -> Int {
        let parameters = Parameters {
            $0.append(Double(configuration.stuckAfterMs))
            $0.append(Int64(configuration.stuckLetters))
        }
        let discards = Parameters { $0.append(Int64(configuration.stuckLetters)) }
        return try await connection.withTransaction { transaction in
            let letters = try await transaction.execute(Self.sendStuckAgain, parameters).affectedRows
            return letters + (try await transaction.execute(Self.discardAgain, discards).affectedRows)
        }
    }
}

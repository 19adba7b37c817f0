internal import Postgres
internal import StreamCore

/// Makes the next letter of a key due when the one before it is finished.
enum SequencePromotion {
    /// Letters of a key are sent in sets. This is the size of the first set and the factor by which each next set grows
    /// while no letter fails. Behind a failing letter, at most this multiple of the letters applied since the last
    /// failure is sent without success.
    static let growth: Int32 = 8

    /// The first open letter of a key becomes due if it only waited for another one, or if an operator requested it. A
    /// letter that failed itself waits for its own time or for an operator. A new letter is due only if it is alone,
    /// because the letter before it was resolved earlier. If the consumer reports the first letter here as blocked,
    /// because the letter before it is lost, it is tried again later.
    ///
    /// When half of a full set is finished and none of it has failed, another full set follows: the first letter behind
    /// it becomes due at '-infinity'. Consumer, ingest and sender then work at the same time. If the rest of the set
    /// fails, at most three times the letters applied since the last failure were sent without success.
    ///
    /// The statement works in steps, so that no plan searches the letters of one step among all pending ones. One call
    /// finds the first letters of all keys. Most new letters wait behind one that failed, so only a few keys need calls
    /// of their own. The first letter is checked again when it is changed; IS TRUE prevents the planner from searching
    /// by that condition.
    private static let promoteHeads: Statement = """
        WITH freed AS MATERIALIZED (
            SELECT l.consumer, l.origin_topic, l.sequence, bool_and(freed.cause = 0) AS is_alone,
                bool_or(freed.cause < 3) AS is_freed, min(freed.letter_id) FILTER (WHERE freed.cause = 3) AS blocked,
                max(CASE freed.cause WHEN 1 THEN least(l.set_size, $3) * $4 ELSE 1 END) AS set_size,
                bool_or(freed.cause = 1 AND l.set_size >= $3) AS is_full
            FROM unnest($1, $2) AS freed (letter_id, cause)
            CROSS JOIN LATERAL (
                SELECT consumer, origin_topic, sequence, set_size FROM dead_letters AS own
                WHERE own.letter_id = freed.letter_id OFFSET 0
            ) AS l
            WHERE l.sequence IS NOT NULL GROUP BY l.consumer, l.origin_topic, l.sequence
        ), candidates AS MATERIALIZED (
            SELECT head.*
            FROM (
                SELECT array_agg(consumer) AS consumers, array_agg(origin_topic) AS topics,
                    array_agg(sequence) AS sequences, array_agg(is_alone) AS are_alone,
                    array_agg(is_freed) AS are_freed, array_agg(blocked) AS blocked, array_agg(set_size) AS set_sizes
                FROM freed
            ) AS f
            CROSS JOIN LATERAL ROWS FROM (
                dead_letters_first_of(f.consumers, f.topics, f.sequences),
                unnest(f.consumers, f.topics, f.sequences, f.are_alone, f.are_freed, f.blocked, f.set_sizes)
            ) AS head (
                letter_id, state, reason, next_attempt_at, consumer, origin_topic, sequence, is_alone, is_freed,
                blocked, set_size)
            WHERE head.state = 'pending'
                AND CASE WHEN is_freed
                    THEN head.next_attempt_at = 'infinity' OR head.reason = 'blocked' AND head.next_attempt_at IS NULL
                    ELSE head.next_attempt_at IS NULL AND head.letter_id = head.blocked END
        ), heads AS MATERIALIZED (
            SELECT c.letter_id, least(c.set_size, $3) AS set_size, CASE WHEN is_freed THEN 0 ELSE $5 END AS due_ms
            FROM candidates AS c
            WHERE NOT EXISTS (SELECT FROM dead_letters_under_way_of(c.consumer, c.origin_topic, c.sequence, 1))
                AND (NOT c.is_alone OR NOT EXISTS (
                    SELECT FROM dead_letters_open_of(c.consumer, c.origin_topic, c.sequence, 2) AS other
                    WHERE other.letter_id > c.letter_id))
        ), followers AS MATERIALIZED (
            SELECT follower.letter_id
            FROM (SELECT consumer, origin_topic, sequence FROM freed WHERE is_full) AS f
            CROSS JOIN LATERAL (
                SELECT count(*) AS letters, max(letter_id) AS last
                FROM dead_letters_under_way_of(f.consumer, f.origin_topic, f.sequence, $3 / 2 + 1)
            ) AS under_way
            CROSS JOIN LATERAL dead_letters_open_of(f.consumer, f.origin_topic, f.sequence, 1) AS first
            CROSS JOIN LATERAL dead_letters_open_behind(
                f.consumer, f.origin_topic, f.sequence, under_way.last, 1) AS follower
            WHERE under_way.letters BETWEEN 1 AND $3 / 2 AND first.state = 'retrying' AND follower.state = 'pending'
                AND follower.reason = 'blocked' AND follower.next_attempt_at IS NULL
        )
        UPDATE dead_letters AS l SET next_attempt_at = due.at, set_size = due.set_size
        FROM (
            SELECT letter_id, clock_timestamp() + due_ms * interval '1 ms' AS at, set_size FROM heads
            UNION ALL SELECT letter_id, '-infinity', $3 FROM followers
        ) AS due
        WHERE l.letter_id = due.letter_id AND (l.state = 'pending') IS TRUE
        """

    /// - Returns: the number of keys whose first letter becomes due, at once or later.
    static func promote(
        after letters: [ChangedLetter], largestSet: Int, blockedHeadMs: Int, _ transaction: PostgresTransaction
    ) async throws -> Int {
        var ids = Int64Array()
        var causes = Int32Array()
        for letter in letters {
            guard let frees = letter.life.frees, let id = letter.letterID else { continue }
            ids.append(id)
            causes.append(Int32(frees.rawValue))
        }
        if ids.count == 0 { return 0 }
        let parameters = Parameters {
            $0.append(ids)
            $0.append(causes)
            $0.append(Int32(clamping: largestSet))
            $0.append(growth)
            $0.append(Double(blockedHeadMs))
        }
        return try await transaction.execute(promoteHeads, parameters).affectedRows
    }
}

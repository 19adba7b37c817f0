internal import Postgres
internal import StreamCore

/// Decides what is sent: due letters with their sequences, and again what was not answered. Works on the session that
/// holds the handler's lock, so there is one of it.
struct RetryScheduler: Sendable {
    let connection: PostgresConnection
    let configuration: DeadLetterHandlerConfiguration

    /// A sequence of which a letter is under way is left alone until it is answered: its letters would overtake. The
    /// rows are locked in the order of their numbers, as ingesting and operators do. What the limits cut off is the end
    /// of a sequence, which follows when its beginning is answered.
    private static let sendDue: Statement = """
        WITH due AS MATERIALIZED (
            SELECT letter_id, consumer, origin_topic, sequence FROM dead_letters AS l
            WHERE state = 'pending' AND next_attempt_at <= clock_timestamp()
                AND (sequence IS NULL OR NOT EXISTS (
                    SELECT FROM dead_letters AS other
                    WHERE (other.consumer, other.origin_topic, other.sequence)
                        = (l.consumer, l.origin_topic, l.sequence)
                        AND other.state = 'retrying'))
            ORDER BY next_attempt_at LIMIT $1
        ), chosen AS MATERIALIZED (
            SELECT letter_id FROM due WHERE sequence IS NULL
            UNION ALL
            (SELECT member.letter_id
            FROM (SELECT DISTINCT consumer, origin_topic, sequence FROM due WHERE sequence IS NOT NULL) AS sequences
            CROSS JOIN LATERAL (
                SELECT letter_id FROM dead_letters AS l
                WHERE (l.consumer, l.origin_topic, l.sequence)
                    = (sequences.consumer, sequences.origin_topic, sequences.sequence)
                    AND l.state IN ('pending', 'retrying')
                ORDER BY letter_id LIMIT $2
            ) AS member
            LIMIT 5000)
        ), locked AS MATERIALIZED (
            SELECT letter_id FROM dead_letters
            WHERE letter_id = ANY (ARRAY(SELECT letter_id FROM chosen)) AND state = 'pending'
            ORDER BY letter_id FOR UPDATE
        ), sent AS (
            UPDATE dead_letters AS l
            SET state = 'retrying', delivery = delivery + 1, next_attempt_at = NULL, state_since = clock_timestamp()
            FROM locked WHERE l.letter_id = locked.letter_id
            RETURNING l.letter_id, l.delivery
        ), queued AS (
            INSERT INTO dead_letter_sends (letter_id, action, delivery)
            SELECT letter_id, 'apply', delivery FROM sent ORDER BY letter_id
        )
        INSERT INTO dead_letter_history (letter_id, actor, action, from_state, to_state, reason)
        SELECT letter_id, 'dead-letter-handler', 'sent', 'pending', 'retrying', 'delivery ' || delivery
        FROM sent ORDER BY letter_id
        """

    /// Moves due letters and their sequences to the sends.
    ///
    /// - Returns: how many letters.
    func sendDue() async throws -> Int {
        let parameters = Parameters {
            $0.append(Int64(configuration.dueLettersAtOnce))
            $0.append(Int64(configuration.sequenceLetters))
        }
        return try await connection.withTransaction { transaction in
            try await transaction.execute(Self.sendDue, parameters).affectedRows
        }
    }

    /// How often a letter was sent without an answer of its own doubles what it waits: its deliveries but for the first
    /// and those that failed.
    private static let sendStuckAgain: Statement = """
        WITH stuck AS MATERIALIZED (
            SELECT letter_id FROM dead_letters AS l
            WHERE state = 'retrying' AND state_since < clock_timestamp() - $1 * interval '1 ms'
                AND state_since < clock_timestamp()
                    - $1 * power(2, least(5, greatest(0, delivery - attempts - 2))) * interval '1 ms'
                AND NOT EXISTS (SELECT FROM dead_letter_sends AS s WHERE s.letter_id = l.letter_id)
                AND (sequence IS NULL OR NOT EXISTS (
                    SELECT FROM dead_letters AS other JOIN dead_letter_sends AS s USING (letter_id)
                    WHERE (other.consumer, other.origin_topic, other.sequence)
                        = (l.consumer, l.origin_topic, l.sequence)
                        AND other.state = 'retrying'))
            ORDER BY letter_id LIMIT $2 FOR UPDATE OF l
        ), again AS (
            UPDATE dead_letters AS l
            SET state = 'pending', next_attempt_at = clock_timestamp(), state_since = clock_timestamp()
            FROM stuck WHERE l.letter_id = stuck.letter_id
            RETURNING l.letter_id, l.delivery
        )
        INSERT INTO dead_letter_history (letter_id, actor, action, from_state, to_state, reason)
        SELECT letter_id, 'dead-letter-handler', 'sent_again', 'retrying', 'pending',
            'no answer to delivery ' || delivery
        FROM again ORDER BY letter_id
        """

    /// Makes letters due that were sent and not answered.
    ///
    /// - Returns: how many letters.
    func sendStuckAgain() async throws -> Int {
        let parameters = Parameters {
            $0.append(Double(configuration.stuckAfterMs))
            $0.append(Int64(configuration.sequenceLetters))
        }
        return try await connection.withTransaction { transaction in
            try await transaction.execute(Self.sendStuckAgain, parameters).affectedRows
        }
    }
}

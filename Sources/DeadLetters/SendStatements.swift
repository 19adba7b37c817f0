internal import Postgres
internal import StreamCore

/// Writes down what became of a page of sends.
enum SendStatements {
    private static let delete: Statement = "DELETE FROM dead_letter_sends WHERE send_id = ANY ($1)"

    /// A letter of others has no consumer that answers: it is resolved when it is where it came from.
    private static let resolveReplayed: Statement = """
        WITH locked AS MATERIALIZED (
            SELECT letter_id, state FROM dead_letters
            WHERE letter_id = ANY ($1) AND state IN ('pending', 'retrying') ORDER BY letter_id FOR UPDATE
        ), replayed AS (
            UPDATE dead_letters AS l SET state = 'resolved', state_since = clock_timestamp(), next_attempt_at = NULL
            FROM locked WHERE l.letter_id = locked.letter_id
            RETURNING l.letter_id, locked.state, l.replay_topic
        )
        INSERT INTO dead_letter_history (letter_id, actor, action, from_state, to_state, reason)
        SELECT letter_id, 'dead-letter-handler', 'replayed', state, 'resolved', 'to ' || replay_topic
        FROM replayed ORDER BY letter_id
        """

    private static let giveBack: Statement = """
        WITH refused AS MATERIALIZED (
            SELECT letter_id, reason FROM unnest($1, $2) AS refused (letter_id, reason)
        ), locked AS MATERIALIZED (
            SELECT letter_id, state FROM dead_letters
            WHERE letter_id = ANY ($1) ORDER BY letter_id FOR UPDATE
        ), back AS (
            UPDATE dead_letters AS l SET state = 'pending', state_since = clock_timestamp(), next_attempt_at = NULL
            FROM locked WHERE l.letter_id = locked.letter_id AND locked.state = 'retrying'
        )
        INSERT INTO dead_letter_history (letter_id, actor, action, from_state, to_state, reason)
        SELECT letter_id, 'dead-letter-handler', 'send_failed', state,
            CASE state WHEN 'retrying' THEN 'pending' ELSE state END, reason
        FROM locked JOIN refused USING (letter_id) ORDER BY letter_id
        """

    static func finish(_ outcome: PageOutcome, on connection: PostgresConnection) async throws {
        var rows = Int64Array()
        var replayed = Int64Array()
        var refused = Int64Array()
        var reasons = TextArray()
        for send in outcome.acknowledged {
            rows.append(send.sendID)
            if send.dialect != .millrace { replayed.append(send.letterID) }
        }
        for (send, reason) in outcome.refused {
            rows.append(send.sendID)
            refused.append(send.letterID)
            reasons.append(reason.shortened(toBytes: 300))
        }
        if rows.count == 0 { return }
        var statements = [(delete, Parameters { $0.append(rows) })]
        if replayed.count > 0 { statements.append((resolveReplayed, Parameters { $0.append(replayed) })) }
        if refused.count > 0 {
            let parameters = Parameters {
                $0.append(refused)
                $0.append(reasons)
            }
            statements.append((giveBack, parameters))
        }
        _ = try await connection.withTransaction { transaction in try await transaction.pipeline(statements) }
    }
}

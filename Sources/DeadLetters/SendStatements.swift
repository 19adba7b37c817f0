internal import Letters
internal import Postgres
internal import StreamCore

/// Writes the results of a page of sends.
enum SendStatements {
    private static let delete: Statement = "DELETE FROM dead_letter_sends WHERE send_id = ANY ($1)"

    /// A letter of another program has no consumer that answers. It is resolved when Kafka has it in its original
    /// topic.
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

    /// A letter that cannot be sent becomes pending again. So does a letter whose consumer cannot receive its discard,
    /// because the key may still wait for it. Letters that were answered or sent again meanwhile stay unchanged.
    private static let giveBack: Statement = """
        WITH refused AS MATERIALIZED (
            SELECT letter_id, delivery, reason FROM unnest($1, $2, $3) AS refused (letter_id, delivery, reason)
        ), locked AS MATERIALIZED (
            SELECT letter_id, state, state = 'retrying' OR state = 'discarded' AND is_discard_open AS is_open, delivery
            FROM dead_letters
            WHERE letter_id = ANY ($1) ORDER BY letter_id FOR UPDATE
        ), judged AS MATERIALIZED (
            SELECT letter_id, state, is_open AND locked.delivery = refused.delivery AS goes_back, refused.reason
            FROM locked JOIN refused USING (letter_id)
        ), back AS (
            UPDATE dead_letters AS l SET state = 'pending', state_since = clock_timestamp(), next_attempt_at = NULL,
                is_discard_open = false, unanswered = 0
            FROM judged WHERE l.letter_id = judged.letter_id AND judged.goes_back
        )
        INSERT INTO dead_letter_history (letter_id, actor, action, from_state, to_state, reason)
        SELECT letter_id, 'dead-letter-handler', 'send_failed', state,
            CASE WHEN goes_back THEN 'pending' ELSE state END, reason
        FROM judged ORDER BY letter_id
        """

    /// Starts to wait for the confirmation of a discard. The delay grows with each attempt.
    private static let awaitConfirmation: Statement = """
        WITH locked AS MATERIALIZED (
            SELECT letter_id FROM dead_letters
            WHERE letter_id = ANY ($1) AND is_discard_open AND state = 'discarded' ORDER BY letter_id FOR UPDATE
        )
        UPDATE dead_letters AS l
        SET next_attempt_at = clock_timestamp() + $2 * power(2, least(5, unanswered)) * interval '1 ms'
        FROM locked WHERE l.letter_id = locked.letter_id
        """

    /// - Parameter stuckAfterMs: milliseconds that a consumer may take to confirm a discard.
    static func finish(_ outcome: PageOutcome, stuckAfterMs: Int, on connection: PostgresConnection) async throws {
        var rows = Int64Array()
        var replayed = Int64Array()
        var discards = Int64Array()
        var refused = Int64Array()
        var deliveries = Int32Array()
        var reasons = TextArray()
        for send in outcome.acknowledged {
            rows.append(send.sendID)
            if send.dialect != .millrace { replayed.append(send.letterID) }
            if send.action == .discard { discards.append(send.letterID) }
        }
        for (send, reason) in outcome.refused {
            rows.append(send.sendID)
            refused.append(send.letterID)
            deliveries.append(send.delivery)
            reasons.append(reason.shortened(toBytes: 300))
        }
        if rows.count == 0 { return }
        var statements = [(delete, Parameters { $0.append(rows) })]
        if replayed.count > 0 { statements.append((resolveReplayed, Parameters { $0.append(replayed) })) }
        if discards.count > 0 {
            let parameters = Parameters {
                $0.append(discards)
                $0.append(Double(stuckAfterMs))
            }
            statements.append((awaitConfirmation, parameters))
        }
        if refused.count > 0 {
            let parameters = Parameters {
                $0.append(refused)
                $0.append(deliveries)
                $0.append(reasons)
            }
            statements.append((giveBack, parameters))
        }
        _ = try await connection.withTransaction { transaction in try await transaction.pipeline(statements) }
    }
}

internal import Postgres
internal import StreamCore

/// Deletes resolved and discarded letters after their retention, and old alerts. It never deletes open letters, nor
/// letters whose discard the consumer has not confirmed.
struct LetterRetention: Sendable {
    let connection: PostgresConnection
    let days: Int
    let lettersAtOnce: Int

    private static let pruneLetters: Statement = """
        DELETE FROM dead_letters WHERE letter_id IN (
            SELECT letter_id FROM dead_letters AS l
            WHERE state IN ('resolved', 'discarded') AND state_since < clock_timestamp() - $1 * interval '1 day'
                AND NOT is_discard_open
                AND NOT EXISTS (SELECT FROM dead_letter_sends AS s WHERE s.letter_id = l.letter_id)
            ORDER BY state_since LIMIT $2 FOR UPDATE SKIP LOCKED)
        """

    private static let pruneAlerts: Statement = """
        DELETE FROM dead_letter_alerts WHERE created_at < clock_timestamp() - $1 * interval '1 day'
        """

    /// Deletes one chunk.
    ///
    /// - Returns: the number of deleted letters. If it equals ``lettersAtOnce``, there may be more.
    func prune() async throws -> Int {
        let parameters = Parameters {
            $0.append(Double(days))
            $0.append(Int64(lettersAtOnce))
        }
        let pruned = try await connection.execute(Self.pruneLetters, parameters).affectedRows
        if pruned == 0 { try await connection.execute(Self.pruneAlerts, Parameters { $0.append(Double(days)) }) }
        return pruned
    }
}

internal import Postgres
public import StreamCore

extension DeadLetterStore {
    /// What became of a correction.
    public enum EditOutcome: Sendable, Hashable {
        /// It is the letter's correction of this number, counted from 1.
        case edited(Int32)
        case skipped(Skip)
        case noSuchLetter
    }

    /// Whether a letter may be corrected now.
    ///
    /// - Returns: nil when it may.
    public static func obstacle(toEditing letter: Letter) -> Skip? {
        letter.summary.state == .pending ? nil : Skip(rawValue: letter.summary.state.rawValue)
    }

    /// Adds a corrected value, which the next retry sends in place of the letter's own. The letter keeps its own.
    ///
    /// - Parameters:
    ///   - value: the new record's value, as a whole.
    ///   - eventID: the event's identity in `value`: a new one, for the consumer may remember the old.
    /// - Throws: ``PostgresError``, ``TransactionError``.
    public func edit(
        _ letterID: Int64, value: [UInt8], eventID: EventID, by audit: Audit
    ) async throws -> EditOutcome {
        try await connection.withTransaction { transaction in
            // Locked by a statement of its own: the next one then sees the corrections made by whoever had the lock.
            let own = try await transaction.execute(
                .unprepared(
                    """
                    SELECT CASE WHEN state <> 'pending' THEN state ELSE 'ok' END
                    FROM dead_letters WHERE letter_id = $1 FOR UPDATE
                    """), Parameters { $0.append(letterID) })
            guard own.rowCount == 1 else { return .noSuchLetter }
            if let skip = Skip(rawValue: try own.string(0, 0)) { return .skipped(skip) }
            let added = try await transaction.execute(
                .unprepared(
                    """
                    INSERT INTO dead_letter_edits (letter_id, edit, value, event_id, actor, reason)
                    SELECT $1, coalesce(max(edit), 0) + 1, $2, $3, $4, $5 FROM dead_letter_edits WHERE letter_id = $1
                    RETURNING edit
                    """),
                Parameters {
                    $0.append(letterID)
                    $0.append(value)
                    $0.append(eventID)
                    $0.append(audit.actor)
                    $0.append(audit.reason)
                })
            try await transaction.execute(
                .unprepared(
                    """
                    INSERT INTO dead_letter_history (letter_id, actor, action, from_state, to_state, reason)
                    VALUES ($1, $2, 'edited', 'pending', 'pending', $3)
                    """),
                Parameters {
                    $0.append(letterID)
                    $0.append(audit.actor)
                    $0.append(audit.reason)
                })
            return .edited(try added.int32(0, 0))
        }
    }
}

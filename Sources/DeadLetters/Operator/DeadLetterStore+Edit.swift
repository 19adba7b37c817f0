internal import Postgres
public import StreamCore

extension DeadLetterStore {
    /// The result of an edit.
    public enum EditOutcome: Sendable, Hashable {
        /// The number of the edit within its letter, from 1.
        case edited(Int32)
        case skipped(Skip)
        case noSuchLetter
    }

    /// Whether a letter may be edited now.
    ///
    /// - Returns: nil if it may.
    public static func obstacle(toEditing letter: Letter) -> Skip? {
        letter.summary.state == .pending ? nil : Skip(rawValue: letter.summary.state.rawValue)
    }

    /// Adds a corrected value, which the next retry sends instead of the original value. The letter keeps its original
    /// value.
    ///
    /// - Parameters:
    ///   - value: the complete new value of the record.
    ///   - eventID: the new id of the event in `value`, because the consumer may remember the old one.
    /// - Throws: ``PostgresError``, ``TransactionError``.
    public func edit(
        _ letterID: Int64, value: [UInt8], eventID: EventID, by audit: Audit
    ) async throws -> EditOutcome {
        try await connection.withTransaction { transaction in
            // A separate statement takes the lock, so the next one sees the edits of the lock's previous owner.
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

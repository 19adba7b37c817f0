public import Postgres
public import StreamCore

extension OutboxFailures {
    /// All stored information about a row of `outbox_failed`.
    public struct Detail: Sendable, Hashable {
        public let row: Row
        /// As text, because PostgreSQL's timestamps may be infinite.
        public let occurredAt: String?
        public let sequence: Int64?
        /// JSON texts; nil if the row was stored as a whole.
        public let metadata: String?
        public let payload: String?
        public let headers: String?
        /// The whole row as JSON, if the outbox has another layout or the row did not fit the columns.
        public let original: String?
        /// The actions of operators, oldest first.
        public let history: [HistoryEntry]
    }

    /// One action of an operator on a row with this id.
    public struct HistoryEntry: Sendable, Hashable {
        public let at: Timestamp
        public let action: String
        public let actor: String
        public let reason: String
    }

    /// - Returns: nil if `outbox_failed` has no row with this id.
    public func show(_ id: Int64, on connection: PostgresConnection) async throws(PostgresError) -> Detail? {
        let parameters = Parameters { $0.append(id) }
        let result = try await connection.execute(
            .unprepared(
                """
                SELECT \(Self.columns), occurred_at::text, sequence, metadata::text, payload::text, headers::text,
                    original::text
                FROM \(failedTable) WHERE id = $1
                """), parameters)
        guard result.rowCount == 1 else { return nil }
        return Detail(
            row: try Self.row(0, of: result), occurredAt: try result.optionalString(0, 15),
            sequence: try result.optionalInt64(0, 16), metadata: try result.optionalString(0, 17),
            payload: try result.optionalString(0, 18), headers: try result.optionalString(0, 19),
            original: try result.optionalString(0, 20), history: try await history(of: id, on: connection))
    }

    /// The actions on rows with this id, including rows that have left the table.
    public func history(
        of id: Int64, on connection: PostgresConnection
    ) async throws(PostgresError) -> [HistoryEntry] {
        let result = try await connection.execute(
            .unprepared("SELECT at, action, actor, reason FROM \(historyTable) WHERE id = $1 ORDER BY at, entry"),
            Parameters { $0.append(id) })
        var entries: [HistoryEntry] = []
        for row in 0..<result.rowCount {
            entries.append(
                HistoryEntry(
                    at: try result.timestamp(row, 0), action: try result.string(row, 1),
                    actor: try result.string(row, 2), reason: try result.string(row, 3)))
        }
        return entries
    }
}

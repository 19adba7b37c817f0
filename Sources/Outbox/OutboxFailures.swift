public import Postgres
public import StreamCore

/// Lists, retries and discards the rows of `outbox_failed`, on behalf of operators.
///
/// While a row is in state `failed`, later rows of its key wait in the outbox. The actions of operators are recorded in
/// the history table, whose name is that of the failed-rows table with the suffix `_history`.
public struct OutboxFailures: Sendable {
    /// One row of `outbox_failed`.
    public struct Row: Sendable, Hashable {
        /// The row's id in the outbox.
        public let id: Int64
        /// nil if the row has no id, or one that is not a UUID.
        public let eventID: EventID?
        /// The id's text, for the Debezium layout.
        public let sourceID: String?
        public let eventType: String?
        public let aggregateType: String?
        public let aggregateID: String?
        /// The topic that the row specifies.
        public let topic: String?
        /// The key that the row specifies.
        public let key: String?
        /// For grouping: `msg_size_too_large`, `invalid_topic`, …
        public let errorClass: String
        public let error: String
        public let failedAt: Timestamp
        /// Whether an operator discarded the row. A discarded row blocks no later rows.
        public let isDiscarded: Bool
        /// The discard; nil if the row was not discarded.
        public let discarded: Discard?
    }

    /// The reason, the author and the time of a discard.
    public struct Discard: Sendable, Hashable {
        public let reason: String?
        public let actor: String?
        public let at: Timestamp?
    }

    /// Selects rows.
    public struct Filter: Sendable, Hashable {
        /// Only rows with these ids; nil for all.
        public var ids: [Int64]?
        public var errorClass: String?
        public var aggregateType: String?
        /// The aggregate's id, or the key that the row specifies.
        public var key: String?
        public var includesDiscarded = false

        public init(ids: [Int64]? = nil) {
            self.ids = ids
        }
    }

    let table: String
    let failedTable: String
    let historyTable: String

    public init(_ configuration: OutboxRelayConfiguration = OutboxRelayConfiguration()) {
        table = SQLIdentifier.quoted(configuration.table)
        failedTable = SQLIdentifier.quoted(configuration.failedTable)
        historyTable = SQLIdentifier.quoted(configuration.historyTable)
    }

    // MARK: looking

    static let columns = """
        id, event_id, source_id, event_type, aggregate_type, aggregate_id, topic, key, error_class, error, failed_at,
        state = 'discarded', state_note, state_by, state_at
        """

    private static let condition = """
        ($1::bigint[] IS NULL OR id = ANY ($1)) AND ($2::text IS NULL OR error_class = $2)
        AND ($3::text IS NULL OR aggregate_type = $3) AND ($4::text IS NULL OR coalesce(key, aggregate_id) = $4)
        AND (state = 'failed' OR $5)
        """

    private static func parameters(_ filter: Filter) -> Parameters {
        Parameters {
            if let ids = filter.ids {
                var column = Int64Array()
                for id in ids { column.append(id) }
                $0.append(column)
            } else {
                $0.appendNull(.int8Array)
            }
            $0.append(filter.errorClass)
            $0.append(filter.aggregateType)
            $0.append(filter.key)
            $0.append(filter.includesDiscarded)
        }
    }

    /// The failed rows, ordered by id.
    ///
    /// - Parameters:
    ///   - filter: selects rows.
    ///   - after: only rows with a higher id, to read the next page.
    ///   - limit: the maximum number of rows.
    ///   - connection: the connection to use.
    public func list(
        _ filter: Filter = Filter(), after: Int64 = .min, limit: Int = 100, on connection: PostgresConnection
    ) async throws(PostgresError) -> [Row] {
        var parameters = Self.parameters(filter)
        parameters.append(after)
        parameters.append(Int64(limit))
        let result = try await connection.execute(
            .unprepared(
                """
                SELECT \(Self.columns) FROM \(failedTable) WHERE \(Self.condition) AND id > $6 ORDER BY id LIMIT $7
                """), parameters)
        var rows: [Row] = []
        for row in 0..<result.rowCount { rows.append(try Self.row(row, of: result)) }
        return rows
    }

    static func row(_ row: Int, of result: QueryResult) throws(PostgresError) -> Row {
        let isDiscarded = try result.bool(row, 11)
        let discard = Discard(
            reason: try result.optionalString(row, 12), actor: try result.optionalString(row, 13),
            at: try result.optionalTimestamp(row, 14))
        return Row(
            id: try result.int64(row, 0), eventID: try result.optionalEventID(row, 1),
            sourceID: try result.optionalString(row, 2), eventType: try result.optionalString(row, 3),
            aggregateType: try result.optionalString(row, 4), aggregateID: try result.optionalString(row, 5),
            topic: try result.optionalString(row, 6), key: try result.optionalString(row, 7),
            errorClass: try result.string(row, 8), error: try result.string(row, 9),
            failedAt: try result.timestamp(row, 10), isDiscarded: isDiscarded,
            discarded: isDiscarded ? discard : nil)
    }

    // MARK: changing

    /// The kind of a change.
    public enum Change: String, Sendable, Hashable {
        /// Puts the rows back into the outbox under their old ids. The relay publishes them before the later rows of
        /// their keys.
        case retry
        /// Marks the rows as discarded. They stay in the table, and the relay continues with later rows of their keys.
        case discard
    }

    /// The ids of the rows that a change would affect. A retry includes discarded rows only if `filter` contains their
    /// ids.
    public func matching(
        _ change: Change, _ filter: Filter, on connection: PostgresConnection
    ) async throws(PostgresError) -> [Int64] {
        let (select, parameters) = selection(change, filter)
        return try Self.ids(in: try await connection.execute(.unprepared(select), parameters))
    }

    private func selection(_ change: Change, _ filter: Filter) -> (sql: String, parameters: Parameters) {
        var filter = filter
        filter.includesDiscarded = change == .retry && filter.ids != nil
        return ("SELECT id FROM \(failedTable) WHERE \(Self.condition) ORDER BY id", Self.parameters(filter))
    }

    private static func ids(in result: QueryResult) throws(PostgresError) -> [Int64] {
        var ids: [Int64] = []
        for row in 0..<result.rowCount { ids.append(try result.int64(row, 0)) }
        return ids
    }

    /// Changes all selected rows in one transaction, or none if an error occurs.
    ///
    /// - Returns: the ids of the changed rows.
    public func change(
        _ change: Change, _ filter: Filter, by audit: Audit, on connection: PostgresConnection
    ) async throws -> [Int64] {
        try await connection.withTransaction { transaction in
            // FOR UPDATE: of two concurrent operators, the second sees the result of the first.
            let (select, parameters) = selection(change, filter)
            let result = try await transaction.execute(.unprepared(select + " FOR UPDATE"), parameters)
            let ids = try Self.ids(in: result)
            if ids.isEmpty { return [] }
            try await record(change, ids, audit, in: transaction)
            switch change {
            case .retry: try await putBack(ids, in: transaction)
            case .discard:
                var parameters = Self.parameters(ids)
                parameters.append(audit.reason)
                parameters.append(audit.actor)
                try await transaction.execute(
                    .unprepared(
                        """
                        UPDATE \(failedTable) SET state = 'discarded', state_note = $2, state_by = $3, state_at = now()
                        WHERE id = ANY ($1)
                        """), parameters)
            }
            return ids
        }
    }

    private func record(
        _ change: Change, _ ids: [Int64], _ audit: Audit, in transaction: PostgresTransaction
    ) async throws(PostgresError) {
        var parameters = Self.parameters(ids)
        parameters.append(change.rawValue)
        parameters.append(audit.actor)
        parameters.append(audit.reason)
        // A retried row leaves the table, so the history contains a copy of it.
        try await transaction.execute(
            .unprepared(
                """
                INSERT INTO \(historyTable) (id, action, actor, reason, row)
                SELECT id, $2, $3, $4, CASE WHEN $2 = 'retry' THEN row_to_json(failed) END
                FROM \(failedTable) AS failed WHERE id = ANY ($1)
                """), parameters)
    }

    private func putBack(_ ids: [Int64], in transaction: PostgresTransaction) async throws(PostgresError) {
        let parameters = Self.parameters(ids)
        let hasWhole = try await transaction.execute(
            .unprepared(
                """
                SELECT bool_or(original IS NOT NULL), bool_or(original IS NULL) FROM \(failedTable)
                WHERE id = ANY ($1)
                """), parameters)
        if try hasWhole.bool(0, 0) {
            let columns = try await insertableColumns(in: transaction)
            try await transaction.execute(
                .unprepared(
                    """
                    INSERT INTO \(table) (\(columns)) OVERRIDING SYSTEM VALUE SELECT \(columns) FROM (
                        SELECT whole.* FROM \(failedTable) AS failed
                        CROSS JOIN LATERAL json_populate_record(NULL::\(table), failed.original) AS whole
                        WHERE failed.id = ANY ($1) AND failed.original IS NOT NULL
                    ) AS back
                    """), parameters)
        }
        if try hasWhole.bool(0, 1) {
            let columns = RowColumn.allCases.map { SQLIdentifier.quoted($0.name) }.joined(separator: ", ")
            try await transaction.execute(
                .unprepared(
                    """
                    INSERT INTO \(table) (\(columns)) OVERRIDING SYSTEM VALUE
                    SELECT \(columns) FROM \(failedTable) WHERE id = ANY ($1) AND original IS NULL
                    """), parameters)
        }
        try await transaction.execute(.unprepared("DELETE FROM \(failedTable) WHERE id = ANY ($1)"), parameters)
    }

    /// The columns of the outbox table, except generated ones.
    private func insertableColumns(in transaction: PostgresTransaction) async throws(PostgresError) -> String {
        try await transaction.execute(
            .unprepared(
                """
                SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
                WHERE attrelid = \(SQLText.quoted(table))::regclass AND attnum > 0 AND NOT attisdropped
                    AND attgenerated = ''
                """)
        ).string(0, 0)
    }

    private static func parameters(_ ids: [Int64]) -> Parameters {
        var column = Int64Array()
        for id in ids { column.append(id) }
        var parameters = Parameters()
        parameters.append(column)
        return parameters
    }
}

public import Postgres
public import StreamCore

/// The rows that could not be published, for operators: to look at, to send again, to give up.
///
/// While a row is in state `failed`, later rows of its key wait in the outbox.
public struct OutboxFailures: Sendable {
    /// One row that was set aside.
    public struct Row: Sendable, Hashable {
        /// Its id in the outbox.
        public let id: Int64
        public let eventID: EventID
        public let eventType: String
        public let aggregateType: String
        public let aggregateID: String
        /// For grouping: `msg_size_too_large`, `invalid_topic`, …
        public let errorClass: String
        public let error: String
        public let failedAt: Timestamp
        /// Given up by an operator; blocks nothing.
        public let isDiscarded: Bool
    }

    private let table: String
    private let failedTable: String
    private let layout: OutboxRelayConfiguration.Layout

    public init(_ configuration: OutboxRelayConfiguration = OutboxRelayConfiguration()) {
        table = SQLIdentifier.quoted(configuration.table)
        failedTable = SQLIdentifier.quoted(configuration.failedTable)
        layout = configuration.layout
    }

    /// The failed rows, oldest first.
    ///
    /// - Parameters:
    ///   - includingDiscarded: also those that were given up.
    ///   - limit: how many at most.
    public func list(
        on connection: PostgresConnection, includingDiscarded: Bool = false, limit: Int = 100
    ) async throws(PostgresError) -> [Row] {
        var parameters = Parameters()
        parameters.append(includingDiscarded)
        parameters.append(Int64(limit))
        let result = try await connection.execute(
            .unprepared(
                """
                SELECT id, event_id, coalesce(event_type, ''), aggregate_type, coalesce(aggregate_id, ''),
                    error_class, error, failed_at, state = 'discarded'
                FROM \(failedTable) WHERE state = 'failed' OR $1 ORDER BY id LIMIT $2
                """), parameters)
        var rows: [Row] = []
        for row in 0..<result.rowCount {
            rows.append(
                Row(
                    id: try result.int64(row, 0), eventID: try result.eventID(row, 1),
                    eventType: try result.string(row, 2), aggregateType: try result.string(row, 3),
                    aggregateID: try result.string(row, 4), errorClass: try result.string(row, 5),
                    error: try result.string(row, 6), failedAt: try result.timestamp(row, 7),
                    isDiscarded: try result.bool(row, 8)))
        }
        return rows
    }

    /// Puts rows back into the outbox, at their old place: the relay publishes them before the later rows of their keys.
    ///
    /// - Returns: how many there were.
    public func retry(_ ids: [Int64], on connection: PostgresConnection) async throws(PostgresError) -> Int {
        let sql: String
        switch layout {
        case .millrace:
            let columns = RowColumn.allCases.map(\.name).joined(separator: ", ")
            sql = """
                WITH back AS (DELETE FROM \(failedTable) WHERE id = ANY ($1) RETURNING *)
                INSERT INTO \(table) (\(columns)) SELECT \(columns) FROM back
                """
        case .debezium:
            sql = """
                WITH back AS (DELETE FROM \(failedTable) WHERE id = ANY ($1) RETURNING original)
                INSERT INTO \(table) SELECT whole.* FROM back
                    CROSS JOIN LATERAL json_populate_record(NULL::\(table), back.original) AS whole
                """
        }
        return try await connection.execute(.unprepared(sql), Self.parameters(ids)).affectedRows
    }

    /// Gives rows up: they are kept where they are, and later rows of their keys go on.
    ///
    /// - Parameter note: why, for those who look later.
    /// - Returns: how many there were.
    public func discard(
        _ ids: [Int64], note: String?, on connection: PostgresConnection
    ) async throws(PostgresError) -> Int {
        var parameters = Self.parameters(ids)
        parameters.append(note)
        return try await connection.execute(
            .unprepared(
                """
                UPDATE \(failedTable) SET state = 'discarded', state_note = $2
                WHERE id = ANY ($1) AND state = 'failed'
                """), parameters
        ).affectedRows
    }

    private static func parameters(_ ids: [Int64]) -> Parameters {
        var column = Int64Array()
        for id in ids { column.append(id) }
        var parameters = Parameters()
        parameters.append(column)
        return parameters
    }
}

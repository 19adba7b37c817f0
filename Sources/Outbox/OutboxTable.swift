public import Postgres

/// The differences between the layouts of outbox tables, for code that only reads waiting rows.
public struct OutboxTable: Sendable {
    /// The table's name, quoted.
    public let name: String
    /// The name of the table of rows that could not be published, quoted.
    public let failedName: String
    /// The column that determines the publishing order.
    public let position: String
    /// The condition that selects the rows that wait for the relay.
    public let isWaiting: String
    /// The SQL expression for the time of a row's event; its value is NULL for an infinite time. Nil if the layout has
    /// no such column.
    public let occurredAt: String?

    /// Columns by which the layout is recognised: a column of Millrace's own layout, and the column that the migration
    /// set outbox-debezium adds.
    private static let (ownColumn, adoptedColumn) = ("published_at", DebeziumLayout().position)

    /// Determines the layout of a table.
    ///
    /// - Parameters:
    ///   - table: the outbox table, as named in the relay's setting.
    ///   - failedTable: the table of rows that could not be published.
    /// - Returns: nil if the table does not exist, or if a relay cannot publish it.
    public static func find(
        _ table: String, failed failedTable: String, on connection: PostgresConnection
    ) async throws(PostgresError) -> OutboxTable? {
        let name = SQLIdentifier.quoted(table)
        let rows = try await connection.execute(
            """
            SELECT attname::text FROM pg_attribute
            WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped
            """, Parameters { $0.append(name) })
        var columns: Set<String> = []
        for row in 0..<rows.rowCount { columns.insert(try rows.string(row, 0)) }
        let isOwn = columns.contains(ownColumn)
        guard isOwn || columns.contains(adoptedColumn) else { return nil }
        return OutboxTable(
            name: name, failedName: SQLIdentifier.quoted(failedTable), position: isOwn ? "id" : adoptedColumn,
            isWaiting: isOwn ? "\(ownColumn) IS NULL" : "true",
            occurredAt: isOwn ? "CASE WHEN isfinite(occurred_at) THEN occurred_at END" : nil)
    }
}

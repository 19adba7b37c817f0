public import Postgres

/// What is different between the layouts of outbox tables for whoever only looks at waiting rows.
public struct OutboxTable: Sendable {
    /// The table's name, quoted.
    public let name: String
    /// The name of the table of rows that could not be published, quoted.
    public let failedName: String
    /// The column of the publishing order.
    public let position: String
    /// The condition of rows that wait for the relay.
    public let isWaiting: String
    /// The expression of the time of a row's event, NULL for an infinite one; nil if the layout has no column for it.
    public let occurredAt: String?

    /// The columns that tell the layouts apart: one of Millrace's own, and the one that the migration set
    /// outbox-debezium adds.
    private static let (ownColumn, adoptedColumn) = ("published_at", DebeziumLayout().position)

    /// Finds out the layout of a table.
    ///
    /// - Parameters:
    ///   - table: the outbox table, as the relay's setting names it.
    ///   - failedTable: the table of rows that could not be published.
    /// - Returns: nil if there is no such table, or it is no outbox that a relay can publish.
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

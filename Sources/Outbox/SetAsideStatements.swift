internal import Postgres

/// The SQL that moves one row of the outbox to the failed-rows table, with its error.
///
/// If the failed-rows table already has a row with this id (because the ids of the outbox were reset), the older row is
/// moved to the history. Its data must neither be lost nor be confused with the new row.
struct SetAsideStatements {
    /// `$1` id, `$2` error class, `$3` error. It fails if a column does not fit the failed-rows table.
    let typed: Statement
    /// Like `typed`, with `$4` the topic and `$5` the key of the row. It accepts any row.
    let whole: Statement

    init(_ configuration: OutboxRelayConfiguration, layout: RowLayout) {
        let columns = layout.failedColumns
        typed = Self.move(
            configuration, layout, returning: columns.map { "\($0.expression) AS \($0.name)" },
            into: columns.map(\.name), selecting: columns.map(\.name))
        whole = Self.move(
            configuration, layout, returning: ["row_to_json(whole) AS original"], into: ["original", "topic", "key"],
            selecting: ["original", "$4::text", "$5::text"])
    }

    private static func move(
        _ configuration: OutboxRelayConfiguration, _ layout: RowLayout, returning: [String], into columns: [String],
        selecting values: [String]
    ) -> Statement {
        let table = SQLIdentifier.quoted(configuration.table)
        let failed = SQLIdentifier.quoted(configuration.failedTable)
        let history = SQLIdentifier.quoted(configuration.historyTable)
        let updated = FailedColumn.allCases.map(\.rawValue).map { column in
            "\(column) = \(columns.contains(column) ? "excluded.\(column)" : "NULL")"
        }
        return Statement(
            """
            WITH moved AS (
                DELETE FROM \(table) AS whole WHERE \(SQLIdentifier.quoted(layout.position)) = $1
                RETURNING \(returning.joined(separator: ", "))
            ), replaced AS (
                INSERT INTO \(history) (id, action, actor, reason, row)
                SELECT id, 'replaced', 'outbox-relay', 'another row with this id was set aside', row_to_json(previous)
                FROM \(failed) AS previous WHERE id = $1 AND EXISTS (SELECT FROM moved)
            )
            INSERT INTO \(failed) (id, error_class, error, \(columns.joined(separator: ", ")))
            SELECT $1, $2, $3, \(values.joined(separator: ", ")) FROM moved
            ON CONFLICT (id) DO UPDATE SET
                error_class = excluded.error_class, error = excluded.error, failed_at = now(), state = 'failed',
                state_note = NULL, state_by = NULL, state_at = NULL, \(updated.joined(separator: ", "))
            """)
    }
}

/// The columns of the failed-rows table that contain the row.
enum FailedColumn: String, CaseIterable {
    case eventID = "event_id"
    case sourceID = "source_id"
    case eventType = "event_type"
    case aggregateType = "aggregate_type"
    case aggregateID = "aggregate_id"
    case sequence
    case occurredAt = "occurred_at"
    case version
    case correlationID = "correlation_id"
    case causationID = "causation_id"
    case metadata, payload, headers, topic, key, original

    /// The other columns, which the relay and the operators' commands use.
    static let bookkeeping = [
        "id", "error_class", "error", "failed_at", "state", "state_note", "state_by", "state_at",
    ]
}

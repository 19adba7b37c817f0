internal import Postgres

/// The columns of a page, in this order for all layouts.
enum RowColumn: Int, CaseIterable {
    case id, eventID, eventType, aggregateType, aggregateID, sequence, occurredAt, version, correlationID, causationID
    case metadata, payload, headers, topic, key

    /// The column's name in Millrace's outbox table and in the failed-rows table.
    var name: String {
        switch self {
        case .id: "id"
        case .eventID: "event_id"
        case .eventType: "event_type"
        case .aggregateType: "aggregate_type"
        case .aggregateID: "aggregate_id"
        case .sequence: "sequence"
        case .occurredAt: "occurred_at"
        case .version: "version"
        case .correlationID: "correlation_id"
        case .causationID: "causation_id"
        case .metadata: "metadata"
        case .payload: "payload"
        case .headers: "headers"
        case .topic: "topic"
        case .key: "key"
        }
    }
}

/// Describes how a row of the table becomes a record. Only this type and its SQL differ between the layouts.
struct RowLayout: Sendable {
    /// The content of a record's value.
    enum Value: Sendable {
        /// Millrace's envelope around the payload.
        case envelope
        /// The unchanged payload; NULL stays NULL.
        case payload
    }

    /// A column of the failed-rows table, and the SQL expression that computes it from a row of the outbox.
    struct FailedValue: Sendable {
        let name: String
        let expression: String
    }

    /// The SQL expression of each ``RowColumn``.
    let expressions: [String]
    /// The columns that are stored when a row is moved to the failed rows.
    let failedColumns: [FailedValue]
    /// The columns that the table must have.
    let required: [String]
    /// The column that orders the rows.
    let position: String
    let value: Value
    let topics: TopicRule
    /// Whether the record's timestamp is the event's time.
    let timesRecords: Bool
    /// Tells the operator what to do if the column `position` is missing.
    let adoption: String?

    /// - Parameter types: the types of the table's columns, with PostgreSQL's names. Columns of unexpected types are
    ///   read as text: an invalid value must fail its own row, not the statement that reads the page.
    init(_ configuration: OutboxRelayConfiguration, types: [String: String] = [:]) {
        switch configuration.layout {
        case .millrace:
            expressions = RowColumn.allCases.map { SQLIdentifier.quoted($0.name) }
            failedColumns = RowColumn.allCases.filter { $0 != .id }.map {
                FailedValue(name: $0.name, expression: SQLIdentifier.quoted($0.name))
            }
            required = RowColumn.allCases.map(\.name) + (configuration.retention == .keep ? ["published_at"] : [])
            position = RowColumn.id.name
            value = .envelope
            topics = TopicRule(suffix: configuration.topicSuffix)
            timesRecords = false
            adoption = nil
        case .debezium(let layout):
            let columns = DebeziumColumns(layout, table: configuration.table, types: types)
            expressions = RowColumn.allCases.map { columns.expression(of: $0) }
            failedColumns = columns.failed
            required =
                [layout.position, layout.id, layout.aggregateType, layout.aggregateID, layout.type, layout.payload]
                + [
                    layout.sequence, layout.timestamp, layout.version, layout.correlationID, layout.causationID,
                    layout.metadata,
                ].compactMap(\.self) + layout.headerColumns.keys.sorted()
            position = layout.position
            value = layout.envelope ? .envelope : .payload
            topics = TopicRule(template: layout.topic)
            timesRecords = layout.timestamp != nil
            adoption = "run: SELECT millrace_adopt_outbox('\(configuration.table)') (migration set outbox-debezium)"
        }
    }
}

/// Quotes texts in SQL.
enum SQLText {
    /// `text` as an SQL literal. It requires `standard_conforming_strings`, which is on by default.
    static func quoted(_ text: String) -> String {
        "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
    }
}

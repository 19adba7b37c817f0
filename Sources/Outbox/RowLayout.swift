internal import Postgres

/// The columns of a page, in this order whatever the table looks like.
enum RowColumn: Int, CaseIterable {
    case id, eventID, eventType, aggregateType, aggregateID, sequence, occurredAt, version, correlationID, causationID
    case metadata, payload, headers, topic, key

    /// Its name in Millrace's own table, and in the table of failed rows.
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

/// How a row of the table becomes a record: the one seam between the layouts. Everything after it is the same for all.
struct RowLayout: Sendable {
    /// What a record's value is.
    enum Value: Sendable {
        /// Millrace's envelope around the payload.
        case envelope
        /// The payload, verbatim; NULL stays NULL.
        case payload
    }

    /// A column of the table of failed rows, and the SQL that makes its value of a row of the outbox.
    struct FailedValue: Sendable {
        let name: String
        let expression: String
    }

    /// SQL for each ``RowColumn``.
    let expressions: [String]
    /// What of a row is kept when it is set aside.
    let failedColumns: [FailedValue]
    /// The columns that the table must have.
    let required: [String]
    /// The column that orders the rows.
    let position: String
    let value: Value
    let topics: TopicRule
    /// Whether the event's time becomes the record's.
    let timesRecords: Bool
    /// What to do when `position` is missing.
    let adoption: String?

    /// - Parameter types: of the table's columns, as PostgreSQL names them. What is of another type than expected is
    ///   read as text: a value that cannot be read must fail its own row, not the statement that reads a page.
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

/// Texts in SQL.
enum SQLText {
    /// `text` as a literal that means itself, with `standard_conforming_strings` on as it is by default.
    static func quoted(_ text: String) -> String {
        "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
    }
}

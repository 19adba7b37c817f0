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

    /// SQL for each ``RowColumn``.
    let expressions: [String]
    /// The columns that the table must have.
    let required: [String]
    /// The column that orders the rows.
    let position: String
    let value: Value
    let topics: TopicRule
    /// What to do when `position` is missing.
    let adoption: String?

    init(_ configuration: OutboxRelayConfiguration, payloadType: String = "json") {
        switch configuration.layout {
        case .millrace:
            expressions = RowColumn.allCases.map { SQLIdentifier.quoted($0.name) }
            required = RowColumn.allCases.map(\.name) + (configuration.retention == .keep ? ["published_at"] : [])
            position = RowColumn.id.name
            value = .envelope
            topics = TopicRule(suffix: configuration.topicSuffix)
            adoption = nil
        case .debezium(let layout):
            expressions = RowColumn.allCases.map { Self.expression(of: $0, in: layout, payloadType: payloadType) }
            required =
                [layout.position, layout.id, layout.aggregateType, layout.aggregateID, layout.type, layout.payload]
                + [
                    layout.sequence, layout.timestamp, layout.version, layout.correlationID, layout.causationID,
                    layout.metadata,
                ].compactMap(\.self) + layout.headerColumns.keys.sorted()
            position = layout.position
            value = layout.envelope ? .envelope : .payload
            topics = TopicRule(template: layout.topic)
            adoption = "run: SELECT millrace_adopt_outbox('\(configuration.table)') (migration set outbox-debezium)"
        }
    }

    private static func expression(
        of column: RowColumn, in layout: DebeziumLayout, payloadType: String
    ) -> String {
        func text(_ name: String?) -> String { name.map { SQLIdentifier.quoted($0) + "::text" } ?? "NULL::text" }
        switch column {
        case .id: return SQLIdentifier.quoted(layout.position)
        case .eventID: return SQLIdentifier.quoted(layout.id)
        case .eventType: return text(layout.type)
        case .aggregateType: return text(layout.aggregateType)
        case .aggregateID: return text(layout.aggregateID)
        case .sequence: return layout.sequence.map { SQLIdentifier.quoted($0) + "::bigint" } ?? "NULL::bigint"
        case .occurredAt: return layout.timestamp.map { SQLIdentifier.quoted($0) } ?? "NULL::timestamptz"
        case .version: return layout.version.map { SQLIdentifier.quoted($0) + "::integer" } ?? "NULL::integer"
        case .correlationID: return text(layout.correlationID)
        case .causationID: return text(layout.causationID)
        case .metadata: return text(layout.metadata)
        case .payload:
            let name = SQLIdentifier.quoted(layout.payload)
            return payloadType == "bytea" ? name : name + "::text"
        case .headers:
            if layout.headerColumns.isEmpty { return "NULL::json" }
            let members = layout.headerColumns.sorted { $0.value < $1.value }.map { column, header in
                "\(SQLText.quoted(header)), \(SQLIdentifier.quoted(column))::text"
            }
            return "json_build_object(\(members.joined(separator: ", ")))"
        case .topic, .key: return "NULL::text"
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

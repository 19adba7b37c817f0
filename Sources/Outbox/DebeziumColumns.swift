internal import Postgres

/// The SQL expressions that read the columns of Debezium's outbox layout. They accept columns of other types than
/// expected.
struct DebeziumColumns {
    private let layout: DebeziumLayout
    private let table: String
    private let types: [String: String]

    init(_ layout: DebeziumLayout, table: String, types: [String: String]) {
        self.layout = layout
        self.table = table
        self.types = types
    }

    private static let integers: Set<String> = ["bigint", "integer", "smallint"]
    private static let timestamps: Set<String> = ["timestamp with time zone", "timestamp without time zone"]
    private static let uuidForm = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"

    func expression(of column: RowColumn) -> String {
        switch column {
        case .id: return SQLIdentifier.quoted(layout.position)
        case .eventID: return eventID
        case .eventType: return text(layout.type)
        case .aggregateType: return text(layout.aggregateType)
        case .aggregateID: return text(layout.aggregateID)
        case .sequence: return value(layout.sequence, of: Self.integers, "bigint")
        case .occurredAt: return value(layout.timestamp, of: Self.timestamps.union(Self.integers), "timestamptz")
        case .version: return value(layout.version, of: Self.integers, "integer")
        case .correlationID: return text(layout.correlationID)
        case .causationID: return text(layout.causationID)
        case .metadata: return text(layout.metadata)
        case .payload:
            let name = SQLIdentifier.quoted(layout.payload)
            return types[layout.payload] == "bytea" ? name : name + "::text"
        case .headers:
            if layout.headerColumns.isEmpty { return "NULL::json" }
            let members = layout.headerColumns.sorted { $0.value < $1.value }.map { column, header in
                "\(SQLText.quoted(header)), \(SQLIdentifier.quoted(column))::text"
            }
            return "json_build_object(\(members.joined(separator: ", ")))"
        case .topic, .key: return "NULL::text"
        }
    }

    /// The columns of the failed-rows table and their expressions: the whole row as JSON, and its id, aggregate and
    /// event.
    var failed: [RowLayout.FailedValue] {
        var columns: [RowLayout.FailedValue] = [
            .init(name: "source_id", expression: text(layout.id)),
            .init(name: "event_type", expression: text(layout.type)),
            .init(name: "aggregate_type", expression: text(layout.aggregateType)),
            .init(name: "aggregate_id", expression: text(layout.aggregateID)),
            .init(name: "original", expression: "row_to_json(whole)"),
        ]
        if isUUID { columns.append(.init(name: "event_id", expression: SQLIdentifier.quoted(layout.id))) }
        if let time = layout.timestamp, Self.timestamps.contains(types[time] ?? "") {
            columns.append(.init(name: "occurred_at", expression: SQLIdentifier.quoted(time)))
        }
        if let sequence = layout.sequence, Self.integers.contains(types[sequence] ?? "") {
            columns.append(.init(name: "sequence", expression: SQLIdentifier.quoted(sequence)))
        }
        return columns
    }

    private var isUUID: Bool { types[layout.id] == nil || types[layout.id] == "uuid" }

    /// The id of the event. If the column is not a UUID, the `id` header contains its text unchanged. An envelope needs
    /// a UUID, so the id is hashed to one, together with the table and the aggregate: another table may use the same
    /// number.
    private var eventID: String {
        let id = SQLIdentifier.quoted(layout.id)
        if isUUID { return id }
        guard layout.envelope else { return "\(id)::text" }
        let place = "\(SQLText.quoted(table)), \(text(layout.aggregateType)), \(text(layout.aggregateID))"
        let hash = "md5(concat_ws(chr(31), 'millrace', \(place), \(id)::text))"
        // RFC 9562, version 8: a UUID with an application-defined value.
        let marked = "overlay(overlay(\(hash) placing '8' from 13) placing '8' from 17)"
        return """
            CASE WHEN \(id) IS NULL THEN NULL
                WHEN \(id)::text ~ '\(Self.uuidForm)' THEN \(id)::text ELSE \(marked) END::uuid
            """
    }

    private func text(_ name: String?) -> String {
        name.map { SQLIdentifier.quoted($0) + "::text" } ?? "NULL::text"
    }

    private func value(_ name: String?, of direct: Set<String>, _ type: String) -> String {
        guard let name else { return "NULL::\(type)" }
        return direct.contains(types[name] ?? type) || types[name] == nil
            ? SQLIdentifier.quoted(name) : SQLIdentifier.quoted(name) + "::text"
    }
}

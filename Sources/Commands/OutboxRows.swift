public import Events
public import Postgres
internal import StreamCore
public import Traces
internal import WireJSON

/// Events for the table `outbox`, collected as columns. One statement inserts any number of them.
public struct OutboxRows: Sendable {
    private var eventIDs = UUIDArray(), types = TextArray(), aggregateTypes = TextArray(), aggregateIDs = TextArray()
    private var sequences = Int64Array(), times = TimestampArray(), versions = Int32Array()
    private var correlationIDs = TextArray(), causationIDs = TextArray()
    private var metadata = JSONArray(), payloads = JSONArray()
    private var headers = JSONArray()
    private var hasHeaders = false

    public init() {}

    /// The number of events.
    public var count: Int { eventIDs.count }

    /// - Parameter trace: the trace of the event, for the headers of its record; nil for none.
    public mutating func append(_ event: Event<some EventPayload>, trace: TraceContext? = nil) {
        eventIDs.append(event.identity.eventID)
        types.append(event.type.rawValue)
        aggregateTypes.append(event.aggregateType.rawValue)
        aggregateIDs.append(event.identity.aggregateID)
        sequences.append(event.identity.sequence)
        times.append(event.identity.timestamp)
        versions.append(Int32(event.type.currentVersion))
        correlationIDs.append(event.correlationID)
        causationIDs.append(event.causationID)
        var json = JSONWriter()
        event.metadata.write(to: &json)
        metadata.append(json: json.span)
        json.reset()
        event.payload.write(to: &json)
        payloads.append(json: json.span)
        guard let trace else { return headers.appendNull() }
        hasHeaders = true
        json.reset()
        json.beginObject()
        json.key("traceparent")
        json.string(trace.traceparent)
        if let state = trace.state {
            json.key("tracestate")
            json.string(state)
        }
        json.endObject()
        headers.append(json: json.span)
    }

    /// Inserts the events. PostgreSQL assigns the identity in their order, so within an aggregate it ascends with the
    /// sequence.
    public var insertion: (statement: Statement, parameters: Parameters) {
        var parameters = Parameters()
        parameters.append(eventIDs)
        parameters.append(types)
        parameters.append(aggregateTypes)
        parameters.append(aggregateIDs)
        parameters.append(sequences)
        parameters.append(times)
        parameters.append(versions)
        parameters.append(correlationIDs)
        parameters.append(causationIDs)
        parameters.append(metadata)
        parameters.append(payloads)
        guard hasHeaders else { return (Self.statement, parameters) }
        parameters.append(headers)
        return (Self.statementWithHeaders, parameters)
    }

    private static let statement = insert("")
    /// Used only if an event has headers, so that events without a trace send no column for them.
    private static let statementWithHeaders = insert(", headers", "$12")

    private static func insert(_ column: String, _ parameter: String? = nil) -> Statement {
        Statement(
            """
            INSERT INTO outbox (event_id, event_type, aggregate_type, aggregate_id, sequence, occurred_at, version,
                correlation_id, causation_id, metadata, payload\(column))
            SELECT event_id, event_type, aggregate_type, aggregate_id, sequence, at, version, correlation_id,
                causation_id, metadata, payload\(column)
            FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11\(parameter.map { ", " + $0 } ?? ""))
                WITH ORDINALITY
                AS u(event_id, event_type, aggregate_type, aggregate_id, sequence, at, version, correlation_id,
                    causation_id, metadata, payload\(column), position)
            ORDER BY position
            """)
    }
}

internal import Postgres
internal import StreamCore

/// The fields of an event in SQL: the columns of the relation `events`, and the parameters of a statement that runs
/// once for each event.
enum EventColumn: String, CaseIterable, Sendable {
    case eventID = "event_id"
    case type
    case aggregateType = "aggregate_type"
    case aggregateID = "aggregate_id"
    case sequence
    case occurredAt = "occurred_at"
    case version
    case correlationID = "correlation_id"
    case metadata, payload, topic, partition, offset, position

    /// The type's name in SQL.
    var type: String {
        switch self {
        case .eventID: "uuid"
        case .type, .aggregateType, .aggregateID, .correlationID, .topic: "text"
        case .sequence, .offset, .position: "bigint"
        case .occurredAt: "timestamptz"
        case .version, .partition: "integer"
        case .metadata, .payload: "jsonb"
        }
    }

    /// The relation `events`, built from one array for each column. The position is the index in the arrays.
    static let relation: String = {
        let names = allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
        let arrays = allCases.dropLast().enumerated().map { "$\($0.offset + 1)::\($0.element.type)[]" }
        return "events (\(names)) AS (SELECT * FROM unnest(\(arrays.joined(separator: ", "))) WITH ORDINALITY)"
    }()
}

/// The fields of an event for SQL.
public struct SQLEvent: Sendable, Hashable {
    var type = ""
    var eventID = EventID(high: 0, low: 0)
    var aggregateType = ""
    var aggregateID = ""
    /// The sequence; 0 for none.
    var sequence: Int64 = 0
    var occurredAt = Timestamp(microseconds: 0)
    var version: Int32?
    var correlationID: String?
    /// The metadata as JSON.
    var metadata: [UInt8]?
    /// The payload as JSON; nil for a tombstone.
    var payload: [UInt8]?
    var topic = ""
    var partition: Int32 = 0
    var offset: Int64 = 0
}

extension SQLEvent {
    /// The events as one array for each column.
    static func arrays(of events: some Collection<SQLEvent>) -> Parameters {
        let count = events.count
        var ids = UUIDArray(reservingBytes: count * 20)
        var (types, aggregateTypes) = (TextArray(reservingBytes: count * 20), TextArray(reservingBytes: count * 12))
        var aggregateIDs = TextArray(reservingBytes: count * 24)
        var (sequences, offsets) = (Int64Array(reservingBytes: count * 12), Int64Array(reservingBytes: count * 12))
        var times = TimestampArray(reservingBytes: count * 12)
        var (versions, partitions) = (Int32Array(reservingBytes: count * 8), Int32Array(reservingBytes: count * 8))
        var correlations = TextArray(reservingBytes: count * 40)
        var (metadata, payloads) = (JSONBArray(reservingBytes: count * 40), JSONBArray(reservingBytes: count * 200))
        var topics = TextArray(reservingBytes: count * 20)
        for event in events {
            ids.append(event.eventID)
            types.append(event.type)
            aggregateTypes.append(event.aggregateType)
            aggregateIDs.append(event.aggregateID)
            sequences.append(event.sequence == 0 ? nil : event.sequence)
            times.append(event.occurredAt)
            versions.append(event.version)
            correlations.append(event.correlationID)
            metadata.append(jsonbUTF8: event.metadata)
            payloads.append(jsonbUTF8: event.payload)
            topics.append(event.topic)
            partitions.append(event.partition)
            offsets.append(event.offset)
        }
        return Parameters {
            $0.append(ids)
            $0.append(types)
            $0.append(aggregateTypes)
            $0.append(aggregateIDs)
            $0.append(sequences)
            $0.append(times)
            $0.append(versions)
            $0.append(correlations)
            $0.append(metadata)
            $0.append(payloads)
            $0.append(topics)
            $0.append(partitions)
            $0.append(offsets)
        }
    }

    /// The values of these columns.
    ///
    /// - Parameter position: the position of the event in its batch, from 1.
    func values(of columns: [EventColumn], position: Int64) -> Parameters {
        Parameters { parameters in
            for column in columns {
                switch column {
                case .eventID: parameters.append(eventID)
                case .type: parameters.append(type)
                case .aggregateType: parameters.append(aggregateType)
                case .aggregateID: parameters.append(aggregateID)
                case .sequence: parameters.append(sequence == 0 ? nil : sequence)
                case .occurredAt: parameters.append(occurredAt)
                case .version: parameters.append(version)
                case .correlationID: parameters.append(correlationID)
                case .metadata: parameters.append(jsonbUTF8: metadata)
                case .payload: parameters.append(jsonbUTF8: payload)
                case .topic: parameters.append(topic)
                case .partition: parameters.append(partition)
                case .offset: parameters.append(offset)
                case .position: parameters.append(position)
                }
            }
        }
    }
}

/// Where the fields of an event stand in the records of a topic.
///
/// A list of references is tried in order; the first that the record has counts. An empty list means that there is no
/// such field.
public struct EnvelopeMapping: Hashable, Sendable {
    var eventID: [FieldReference] = []
    var type: [FieldReference] = []
    var aggregateType: [FieldReference] = []
    var aggregateID: [FieldReference] = []
    var sequence: [FieldReference] = []
    var occurredAt: [FieldReference] = []
    var version: [FieldReference] = []
    var correlationID: [FieldReference] = []
    var metadata: [FieldReference] = []
    var payload: [FieldReference] = []
    /// The type of a record without a value; nil when such records are passed over.
    var tombstoneType: String?

    /// The forms that are known by name.
    public enum Format: String, CaseIterable, Sendable {
        /// Millrace's own events.
        case millrace
        /// Records of Debezium's outbox event router with its default placement, and `eventType` placed in a header.
        case debezium
        /// CloudEvents 1.0 in Kafka, structured (the event is the value) or binary (its attributes are headers).
        case cloudevents
        /// One record a change of a row, keyed by it; a record without a value deletes it.
        case changelog
    }

    private static func json(_ member: String) -> [FieldReference] { [.json([member])] }

    /// - Parameter structured: for CloudEvents, whether the attributes are members of the value.
    static func preset(_ format: Format, structured: Bool = false) -> EnvelopeMapping {
        var mapping = EnvelopeMapping()
        switch format {
        case .millrace:
            mapping.eventID = json("eventId")
            mapping.type = json("eventType")
            mapping.aggregateType = json("aggregateType")
            mapping.aggregateID = json("aggregateId")
            mapping.sequence = json("sequence")
            mapping.occurredAt = json("timestamp")
            mapping.version = json("version")
            mapping.correlationID = json("correlationId")
            mapping.metadata = json("metadata")
            mapping.payload = json("payload")
        case .debezium:
            mapping.eventID = [.header("id")]
            mapping.type = [.header("eventType"), .header("type")]
            mapping.aggregateType = [.topic]
            mapping.aggregateID = [.key]
            mapping.occurredAt = [.timestamp]
            mapping.payload = [.json([])]
        case .cloudevents:
            // The binding's table of attributes: https://github.com/cloudevents/spec, kafka-protocol-binding.md.
            func attribute(_ name: String) -> FieldReference { structured ? .json([name]) : .header("ce_" + name) }
            mapping.eventID = [attribute("id")]
            mapping.type = [attribute("type")]
            mapping.aggregateType = [attribute("source")]
            mapping.aggregateID = [attribute("subject"), .key]
            mapping.sequence = [attribute("sequence")]
            mapping.occurredAt = [attribute("time"), .timestamp]
            mapping.payload = [structured ? .json(["data"]) : .json([])]
        case .changelog:
            mapping.eventID = [.position]
            mapping.type = [.literal("Upserted")]
            mapping.aggregateType = [.topic]
            mapping.aggregateID = [.key]
            mapping.occurredAt = [.timestamp]
            mapping.payload = [.json([])]
            mapping.tombstoneType = "Deleted"
        }
        return mapping
    }
}

/// Maps the fields of an event to the records of a topic.
///
/// Each field has a list of references. The first reference that the record contains is used. An empty list means that
/// the field does not exist.
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
    /// The event type of records without a value; nil if such records are ignored.
    var tombstoneType: String?

    /// The predefined formats.
    public enum Format: String, CaseIterable, Sendable {
        /// Millrace's events.
        case millrace
        /// Records of Debezium's outbox event router with its default fields, and `eventType` in a header.
        case debezium
        /// CloudEvents 1.0 in Kafka, structured (the event is the value) or binary (its attributes are headers).
        case cloudevents
        /// One record for each change of a row, with the row's key. A record without a value deletes the row.
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
            // The attributes of the Kafka binding: https://github.com/cloudevents/spec, kafka-protocol-binding.md.
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

/// The fields of an event that the runtime of projections needs, whatever the payload is.
public struct EventIdentity: Hashable, Sendable {
    /// Unique for this event. A second delivery has the same id.
    public let eventID: EventID
    /// The event type, such as `OrderCreated`.
    public let eventType: String
    /// The type of the aggregate; empty if the producer does not set it.
    public let aggregateType: String
    /// The id of the event's aggregate, unique within its type. It is also the key of the record.
    public let aggregateID: String
    /// 1, 2, … within the aggregate; 0 if the event has none.
    public let sequence: Int64
    /// The time of the event, by the clock of the service that wrote it.
    public let timestamp: Timestamp

    public init(
        eventID: EventID, eventType: String, aggregateType: String = "", aggregateID: String, sequence: Int64,
        timestamp: Timestamp
    ) {
        self.eventID = eventID
        self.eventType = eventType
        self.aggregateType = aggregateType
        self.aggregateID = aggregateID
        self.sequence = sequence
        self.timestamp = timestamp
    }
}

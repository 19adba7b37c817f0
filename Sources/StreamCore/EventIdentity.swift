/// What the runtime of a projection must know of an event, whatever its payload is.
public struct EventIdentity: Hashable, Sendable {
    /// Unique for this event for all time; a second delivery carries the same.
    public let eventID: EventID
    /// `OrderCreated` and the like.
    public let eventType: String
    /// What kind of thing the aggregate is; empty when the producer does not say.
    public let aggregateType: String
    /// The aggregate that the event belongs to, unique within its type; also the record's key.
    public let aggregateID: String
    /// 1, 2, … within the aggregate; 0 when the event carries none.
    public let sequence: Int64
    /// When it happened, by the writing service's clock.
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

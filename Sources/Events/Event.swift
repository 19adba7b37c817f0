public import StreamCore

/// One event of a domain, as its envelope and payload say.
public struct Event<Payload: EventPayload>: Hashable, Sendable {
    public let identity: EventIdentity
    /// What the producer's work was part of; nil when it named nothing.
    public let correlationID: String?
    /// The command or event that this one follows from; nil when the producer named none.
    public let causationID: String?
    public let metadata: EventMetadata
    public let payload: Payload

    /// - Parameter identity: names the payload's type and aggregate type.
    @inlinable
    public init(
        identity: EventIdentity, correlationID: String? = nil, causationID: String? = nil,
        metadata: EventMetadata = EventMetadata(), payload: Payload
    ) {
        self.identity = identity
        self.correlationID = correlationID
        self.causationID = causationID
        self.metadata = metadata
        self.payload = payload
    }

    /// An event that its writer makes: type and aggregate type are the payload's.
    ///
    /// - Parameters:
    ///   - aggregateID: 1–255 bytes of UTF-8; the key of the record.
    ///   - sequence: 1, 2, … within the aggregate.
    public init(
        _ payload: Payload, of aggregateID: String, sequence: Int64, at timestamp: Timestamp, eventID: EventID,
        correlationID: String? = nil, causationID: String? = nil, metadata: EventMetadata = EventMetadata()
    ) {
        let type = payload.type
        self.init(
            identity: EventIdentity(
                eventID: eventID, eventType: type.rawValue, aggregateType: type.aggregateType.rawValue,
                aggregateID: aggregateID, sequence: sequence, timestamp: timestamp),
            correlationID: correlationID, causationID: causationID, metadata: metadata, payload: payload)
    }

    @inlinable public var type: Payload.Kind { payload.type }

    @inlinable public var aggregateType: Payload.Kind.Aggregate { payload.type.aggregateType }
}

/// What a record's value turned out to be.
public enum DecodedEvent<Payload: EventPayload>: Hashable, Sendable {
    case event(Event<Payload>)
    /// Well-formed JSON with an `eventType` that the domain does not know; nothing else of it was checked.
    case unknownType(String)
}

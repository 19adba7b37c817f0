public import StreamCore

/// An event of a domain, read from its envelope and payload.
public struct Event<Payload: EventPayload>: Hashable, Sendable {
    public let identity: EventIdentity
    /// The process that the producer's work was part of; nil if the producer named none.
    public let correlationID: String?
    /// The command or event that caused this event; nil if the producer named none.
    public let causationID: String?
    public let metadata: EventMetadata
    public let payload: Payload

    /// - Parameter identity: contains the payload's type and aggregate type.
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

    /// A new event. The type and the aggregate type are those of the payload.
    ///
    /// - Parameters:
    ///   - aggregateID: 1–255 bytes of UTF-8. It becomes the key of the record.
    ///   - sequence: the event's number within the aggregate, from 1.
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

/// The result of decoding a record's value.
public enum DecodedEvent<Payload: EventPayload>: Hashable, Sendable {
    case event(Event<Payload>)
    /// The value is well-formed JSON, but the domain does not know its `eventType`. Nothing else was checked.
    case unknownType(String)
}

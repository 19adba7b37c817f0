internal import StreamCore
public import WireJSON

/// From events to the JSON that ``EventDecoder`` reads back as the same events.
public enum EventEncoder {
    /// The payload in its type's current version, as the bytes of the outbox's `payload` column.
    public static func payload(_ payload: some EventPayload) -> [UInt8] {
        var writer = JSONWriter()
        payload.write(to: &writer)
        return writer.finish()
    }

    /// The whole envelope, as the bytes of a record's value.
    public static func envelope(_ event: Event<some EventPayload>) -> [UInt8] {
        var writer = JSONWriter()
        write(event, to: &writer)
        return writer.finish()
    }

    /// Writes the whole envelope.
    public static func write(_ event: Event<some EventPayload>, to writer: inout JSONWriter) {
        let type = event.type
        writer.beginObject()
        writer.key("eventId")
        writer.string(event.identity.eventID)
        writer.key("eventType")
        writer.string(type.rawValue)
        writer.key("aggregateId")
        writer.string(event.identity.aggregateID)
        writer.key("aggregateType")
        writer.string(type.aggregateType.rawValue)
        writer.key("sequence")
        writer.number(event.identity.sequence)
        writer.key("timestamp")
        writer.string(event.identity.timestamp)
        writer.key("version")
        writer.number(type.currentVersion)
        writer.member("correlationId", event.correlationID)
        writer.member("causationId", event.causationID)
        writer.key("metadata")
        event.metadata.write(to: &writer)
        writer.key("payload")
        event.payload.write(to: &writer)
        writer.endObject()
    }
}

extension EventMetadata {
    /// Writes the metadata as the object that it is in an envelope, without the fields that are nil.
    public func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("userId", userID)
        writer.member("tenantId", tenantID)
        writer.member("source", source)
        writer.member("traceId", traceID)
        writer.endObject()
    }
}

extension DecimalAmount {
    /// Writes the amount as a string: many readers of JSON make a binary fraction of a number.
    public func write(to writer: inout JSONWriter) {
        writer.string(description)
    }
}

extension JSONWriter {
    /// Writes a member that is a text; nothing for nil.
    @inlinable
    public mutating func member(_ name: StaticString, _ text: String?) {
        guard let text else { return }
        key(name)
        string(text)
    }

    /// Writes a member that is an amount.
    @inlinable
    public mutating func member(_ name: StaticString, _ amount: DecimalAmount) {
        key(name)
        amount.write(to: &self)
    }

    /// Writes a member that is an integer.
    @inlinable
    public mutating func member(_ name: StaticString, _ value: some FixedWidthInteger & SignedInteger) {
        key(name)
        number(value)
    }

    /// Writes the members `amount` and `currency`.
    @inlinable
    public mutating func members(of money: Money) {
        member("amount", money.amount)
        member("currency", money.currency.code)
    }
}

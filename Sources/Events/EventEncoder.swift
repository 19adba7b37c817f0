internal import StreamCore
public import WireJSON

/// Encodes events as JSON from which ``EventDecoder`` decodes the same events.
public enum EventEncoder {
    /// The payload in the current version of its type, as the outbox's column `payload` stores it.
    public static func payload(_ payload: some EventPayload) -> [UInt8] {
        var writer = JSONWriter()
        payload.write(to: &writer)
        return writer.finish()
    }

    /// The whole envelope, as the value of a record.
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
    /// Writes the metadata as a JSON object, without the fields that are nil.
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
    /// Writes the amount as a string, because many JSON readers convert numbers to binary floating-point numbers.
    public func write(to writer: inout JSONWriter) {
        writer.string(description)
    }
}

extension JSONWriter {
    /// Writes a member with a text, or nothing if the text is nil.
    @inlinable
    public mutating func member(_ name: StaticString, _ text: String?) {
        guard let text else { return }
        key(name)
        string(text)
    }

    /// Writes a member with an amount.
    @inlinable
    public mutating func member(_ name: StaticString, _ amount: DecimalAmount) {
        key(name)
        amount.write(to: &self)
    }

    /// Writes a member with an integer.
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

public import Events
internal import WireJSON

/// What a record's value turned out to be.
public enum DecodedOrderEvent: Hashable, Sendable {
    case event(OrderEvent)
    /// Well-formed JSON with an `eventType` that this program does not know; nothing else of it was checked.
    case unknownType(String)
}

/// From a record's bytes to an event in one pass: envelope → payload by type and version → event.
///
/// Fields that are not known are stepped over. A payload of the current version is decoded where it stands if the
/// type and version came before it, as they do in what Millrace writes; else it is located, and decoded once they are
/// known.
public enum OrderEventDecoder {
    /// - Parameter value: the record's value; an absent one is a tombstone, which is the caller's to see.
    /// - Throws: what is wrong, as a permanent failure.
    public static func decode(_ value: Span<UInt8>) throws(EventDecodeError) -> DecodedOrderEvent {
        guard !value.isEmpty else {
            throw EventDecodeError(.emptyValue, path: "$", detail: "the record's value has no bytes")
        }
        let outcome: Outcome
        do {
            outcome = try decodeCurrent(value)
        } catch {
            if let name = unknownTypeName(in: value) { return .unknownType(name) }
            throw error.located(in: value)
        }
        switch outcome {
        case .decoded(let result): return result
        case .outdated(let type, let version, let envelope):
            let payload = try OrderEventUpcasters.upcast(
                value.extracting(envelope.payloadRange), of: type, from: version)
            do { return .event(try envelope.event(payload)) } catch { throw error.located(in: value) }
        }
    }

    /// The `eventType` of a value whose envelope is not ours, if it is well-formed and that type is not known: other
    /// producers' events may lack what ours must have.
    private static func unknownTypeName(in value: Span<UInt8>) -> String? {
        guard var json = try? JSONReader(value), (try? json.enterObject()) != nil else { return nil }
        var name: String?
        do {
            while let key = try json.nextKey() {
                if json.matches(key, "eventType"), try json.peek() == .string {
                    let text = try json.readText()
                    guard OrderEventType(text, in: json) == nil else { return nil }
                    name = try json.string(of: text)
                } else {
                    try json.skipValue()
                }
            }
            try json.finish()
        } catch {
            return nil
        }
        return name
    }

    private enum Outcome {
        case decoded(DecodedOrderEvent)
        case outdated(OrderEventType, version: Int, Envelope)
    }

    private static func decodeCurrent(_ value: Span<UInt8>) throws(DecodeProblem) -> Outcome {
        var fields = try FieldReader(value)
        var envelope = Envelope()
        try envelope.read(&fields)
        guard let type = envelope.type else { return .decoded(.unknownType(try envelope.unknownTypeName())) }
        let version = try envelope.checkedVersion(of: type)
        if version < type.currentVersion {
            try envelope.requirePayload()
            return .outdated(type, version: version, envelope)
        }
        if let payload = envelope.payload { return .decoded(.event(try envelope.event(payload))) }
        try envelope.requirePayload()
        var located = FieldReader(fields.json.reader(at: envelope.payloadRange.lowerBound))
        return .decoded(.event(try envelope.event(OrderPayloadDecoder.decode(type, &located))))
    }
}

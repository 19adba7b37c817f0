public import StreamCore

/// Checks whether a value is an event of a domain, and returns its identity. It is for code that handles events of all
/// domains and does not need the payload.
public struct EventCodec: Sendable {
    /// The result of decoding a value.
    public enum Decoded: Hashable, Sendable {
        case event(EventIdentity)
        /// The value is well-formed JSON, but the domain does not know its `eventType`.
        case unknownType(String)
    }

    private let decoded: @Sendable (Span<UInt8>) throws(EventDecodeError) -> Decoded

    /// The codec of a domain. It checks the envelope and the payload.
    public init<Payload: EventPayload>(_: Payload.Type) {
        decoded = { value throws(EventDecodeError) in
            switch try EventDecoder<Payload>.decode(value) {
            case .event(let event): .event(event.identity)
            case .unknownType(let name): .unknownType(name)
            }
        }
    }

    private init(_ decoded: @escaping @Sendable (Span<UInt8>) throws(EventDecodeError) -> Decoded) {
        self.decoded = decoded
    }

    /// A codec that checks only the envelope, for unknown domains.
    public static let envelope = EventCodec { value throws(EventDecodeError) in
        do throws(DecodeProblem) {
            var fields = try FieldReader(value)
            var envelope = Envelope()
            while try envelope.read(&fields) { envelope.tookPayload(try fields.skip()) }
            return .event(try envelope.anyIdentity(in: fields))
        } catch { throw error.located(in: value) }
    }

    /// - Throws: ``EventDecodeError`` if the value is not an event.
    public func decode(_ value: Span<UInt8>) throws(EventDecodeError) -> Decoded {
        try decoded(value)
    }
}

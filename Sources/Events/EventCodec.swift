public import StreamCore

/// Whether a value is an event that consumers of a domain take: for those who handle events of all domains, and need no
/// payload.
public struct EventCodec: Sendable {
    /// What a value turned out to be.
    public enum Decoded: Hashable, Sendable {
        case event(EventIdentity)
        /// Well-formed, with an `eventType` that the domain does not know.
        case unknownType(String)
    }

    private let decoded: @Sendable (Span<UInt8>) throws(EventDecodeError) -> Decoded

    /// The codec of a domain: envelope and payload are checked.
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

    /// Checks the envelope alone, where the domain is not known.
    public static let envelope = EventCodec { value throws(EventDecodeError) in
        do throws(DecodeProblem) {
            var fields = try FieldReader(value)
            var envelope = Envelope()
            while try envelope.read(&fields) { envelope.tookPayload(try fields.skip()) }
            return .event(try envelope.anyIdentity(in: fields))
        } catch { throw error.located(in: value) }
    }

    /// - Throws: why the value is no event.
    public func decode(_ value: Span<UInt8>) throws(EventDecodeError) -> Decoded {
        try decoded(value)
    }
}

public import WireJSON

/// What happened, in the terms of one domain, and its codec: what `payload` holds in an envelope. Usually an enum with
/// a case for each event type.
///
/// A domain brings this type and its event types; the envelope around it, versions, failures and the topics' names are
/// the same for all domains.
public protocol EventPayload: Hashable, Sendable {
    associatedtype Kind: EventType

    /// The type of the event that carries this payload.
    var type: Kind { get }

    /// Reads the payload of the current version of `type`: the object that comes next. A field that is not known is
    /// skipped.
    static func decode(_ type: Kind, _ fields: inout FieldReader) throws(DecodeProblem) -> Self

    /// Writes the payload in the current version of its type, as ``decode(_:_:)`` reads it.
    func write(to writer: inout JSONWriter)
}

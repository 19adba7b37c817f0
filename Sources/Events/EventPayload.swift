public import WireJSON

/// The payload of a domain's events, and its codec. Usually an enum with a case for each event type.
///
/// A domain provides this type and its event types. The envelope, versions, errors and the names of topics are the same
/// for all domains.
public protocol EventPayload: Hashable, Sendable {
    associatedtype Kind: EventType

    /// The type of the event that carries this payload.
    var type: Kind { get }

    /// Reads the next object as a payload of `type` in its current version. Unknown fields are skipped.
    ///
    /// - Throws: ``DecodeProblem`` if a field is missing or invalid.
    static func decode(_ type: Kind, _ fields: inout FieldReader) throws(DecodeProblem) -> Self

    /// Writes the payload in the current version of its type, so that ``decode(_:_:)`` can read it.
    func write(to writer: inout JSONWriter)
}

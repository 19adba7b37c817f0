public import WireJSON

/// The aggregate types of a domain. The raw values are the names in envelopes.
public protocol AggregateKind: RawRepresentable<String>, CaseIterable, Hashable, Sendable {}

extension AggregateKind {
    /// The Kafka topic for the events of this aggregate type.
    ///
    /// - Parameter suffix: the relay's suffix for topics, which follows the name in lower case.
    public func topic(suffix: String = "-events") -> String { rawValue.lowercased() + suffix }

    /// The topics of all aggregate types.
    public static func topics(suffix: String = "-events") -> [String] { allCases.map { $0.topic(suffix: suffix) } }
}

/// The event types of a domain. The raw values are the names in envelopes.
public protocol EventType: RawRepresentable<String>, CaseIterable, Hashable, Sendable {
    associatedtype Aggregate: AggregateKind

    /// The aggregate type that events of this type belong to.
    var aggregateType: Aggregate { get }

    /// The steps that convert older payloads to the current version. Step n − 1 converts version n to n + 1. Empty by
    /// default. It is read for each event, so it should be a stored array.
    var upcasts: [any UpcastStep.Type] { get }

    /// The type that `text` names; nil if the domain has no such type. The default compares raw values. An
    /// implementation that compares literals avoids a String for each event.
    init?(_ text: JSONText, in reader: borrowing JSONReader)
}

extension EventType {
    public var upcasts: [any UpcastStep.Type] { [] }

    /// The schema version that is written, and to which older events are converted.
    public var currentVersion: Int { 1 + upcasts.count }

    public init?(_ text: JSONText, in reader: borrowing JSONReader) {
        guard let name = try? reader.string(of: text) else { return nil }
        self.init(rawValue: name)
    }
}

/// Converts the payload of one schema version of an event type to the next version. It must be pure and sees only the
/// payload.
public protocol UpcastStep: SendableMetatype {
    /// Converts `payload` in place.
    ///
    /// - Throws: ``EventDecodeError`` with a path below `$.payload` if the payload lacks something.
    static func apply(to payload: inout JSONValue) throws(EventDecodeError)
}

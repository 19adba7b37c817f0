public import WireJSON

/// The kinds of things that a domain's events belong to. The raw values are the names that envelopes carry.
public protocol AggregateKind: RawRepresentable<String>, CaseIterable, Hashable, Sendable {}

extension AggregateKind {
    /// The Kafka topic that the events of this kind go to.
    ///
    /// - Parameter suffix: what the relay that publishes them puts behind the name in lower case.
    public func topic(suffix: String = "-events") -> String { rawValue.lowercased() + suffix }

    /// The topics of all kinds.
    public static func topics(suffix: String = "-events") -> [String] { allCases.map { $0.topic(suffix: suffix) } }
}

/// The event types that a domain knows. The raw values are the names that envelopes carry.
public protocol EventType: RawRepresentable<String>, CaseIterable, Hashable, Sendable {
    associatedtype Aggregate: AggregateKind

    /// What the events of this type belong to.
    var aggregateType: Aggregate { get }

    /// What brings older payloads to the current version: step n − 1 leads from version n to n + 1. None if not said
    /// otherwise. Asked for each event: a stored array costs less than one that is made anew.
    var upcasts: [any UpcastStep.Type] { get }

    /// The type that `text` names; nil when the domain has none of that name. Compares the raw values if not said
    /// otherwise; a type that compares literals itself needs no String for each event.
    init?(_ text: JSONText, in reader: borrowing JSONReader)
}

extension EventType {
    public var upcasts: [any UpcastStep.Type] { [] }

    /// The schema version that is written, and that older events are upcast to.
    public var currentVersion: Int { 1 + upcasts.count }

    public init?(_ text: JSONText, in reader: borrowing JSONReader) {
        guard let name = try? reader.string(of: text) else { return nil }
        self.init(rawValue: name)
    }
}

/// What turns the payload of one schema version of an event type into the next one's. Pure; sees the payload alone.
public protocol UpcastStep: SendableMetatype {
    /// - Throws: what the payload lacks, as a path below `$.payload`.
    static func apply(to payload: inout JSONValue) throws(EventDecodeError)
}

public import Events
public import WireJSON

/// A state that can be written down, so that an aggregate with many events is loaded from a few.
public protocol SnapshotState {
    /// Changes with the form or the meaning of the state: a snapshot of another format is not read, and the state made
    /// of the events anew.
    static var snapshotFormat: Int32 { get }

    /// Reads what ``write(to:)`` has written.
    init(fromSnapshot fields: inout FieldReader) throws(DecodeProblem)

    /// Writes the state as one JSON value.
    func write(to writer: inout JSONWriter)
}

/// How often an aggregate's state is written down.
public struct SnapshotPolicy: Hashable, Sendable {
    /// After so many events since the last snapshot; nil for never.
    public let events: Int64?

    /// No snapshots: for aggregates with few events.
    public static let never = SnapshotPolicy(events: nil)

    /// - Parameter events: at least 1.
    public static func every(_ events: Int64) -> SnapshotPolicy {
        precondition(events >= 1, "a snapshot needs an event")
        return SnapshotPolicy(events: events)
    }

    private init(events: Int64?) {
        self.events = events
    }
}

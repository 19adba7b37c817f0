public import Events
public import WireJSON

/// A state that can be stored as a snapshot, so that only the later events of an aggregate must be read.
public protocol SnapshotState {
    /// The number of the format. Increase it if the encoding or the meaning of the state changes. Snapshots of other
    /// formats are ignored, and the state is computed from the events.
    static var snapshotFormat: Int32 { get }

    /// Reads a state that ``write(to:)`` has written.
    init(fromSnapshot fields: inout FieldReader) throws(DecodeProblem)

    /// Writes the state as one JSON value.
    func write(to writer: inout JSONWriter)
}

/// How often an aggregate's state is stored.
public struct SnapshotPolicy: Hashable, Sendable {
    /// The number of events between two snapshots; nil for no snapshots.
    public let events: Int64?

    /// No snapshots: for aggregates with few events.
    public static let never = SnapshotPolicy(events: nil)

    /// - Parameter events: at least 1.
    public static func every(_ events: Int64) -> SnapshotPolicy {
        precondition(events >= 1, "the number of events between snapshots is at least 1")
        return SnapshotPolicy(events: events)
    }

    private init(events: Int64?) {
        self.events = events
    }
}

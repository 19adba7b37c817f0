public import StreamCore

/// A fact of one aggregate, and the event that told it. Of two the one with the greater stamp holds, whichever is met
/// first.
///
/// Facts of different aggregates never meet in a register: which of them holds is decided when they are read
/// (``AggregateMap/latest(_:)``), not when they are merged.
public struct Register<Fact: Hashable & Sendable>: Hashable, Sendable {
    public let stamp: EventStamp
    public let fact: Fact

    @inlinable
    public init(_ stamp: EventStamp, _ fact: Fact) {
        self.stamp = stamp
        self.fact = fact
    }

    public var at: Timestamp { stamp.moment.at }
    public var eventID: EventID { stamp.moment.eventID }

    /// The later of what is known and what is told, either of which may be nothing.
    @inlinable
    public static func merge(_ other: Register?, into register: inout Register?) {
        guard let other else { return }
        if let known = register, known.stamp >= other.stamp { return }
        register = other
    }
}

extension EventStamp {
    /// The greater of what is known and what is told, either of which may be nothing.
    @inlinable
    public static func merge(_ other: EventStamp?, into stamp: inout EventStamp?) {
        guard let other else { return }
        stamp = max(stamp ?? other, other)
    }
}

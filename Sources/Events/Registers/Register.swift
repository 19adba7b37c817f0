public import StreamCore

/// A fact of one aggregate with the stamp of its event. When two registers are merged, the greater stamp wins, in
/// whichever order they arrive.
///
/// Registers of different aggregates are never merged. ``AggregateMap/latest(_:)`` chooses between them when they are
/// read.
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

    /// Stores the register with the greater stamp. Either register may be nil.
    @inlinable
    public static func merge(_ other: Register?, into register: inout Register?) {
        guard let other else { return }
        if let known = register, known.stamp >= other.stamp { return }
        register = other
    }
}

extension EventStamp {
    /// Stores the greater stamp. Either stamp may be nil.
    @inlinable
    public static func merge(_ other: EventStamp?, into stamp: inout EventStamp?) {
        guard let other else { return }
        stamp = max(stamp ?? other, other)
    }
}

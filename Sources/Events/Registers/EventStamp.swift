public import StreamCore

/// The position of an event among the events of its aggregate. The sequence decides, not the time, because clocks can
/// step back and two events can have the same microsecond.
///
/// An event without a sequence (0) comes before all events that have one. Events without a sequence are ordered by
/// their moments. So the order is total even if a writer numbers only some events. If events without a sequence were
/// compared with the others by time, the order could be circular.
public struct EventStamp: Hashable, Sendable {
    /// The event's number within its aggregate; 0 if it has none.
    public let sequence: Int64
    public let moment: EventMoment

    @inlinable
    public init(sequence: Int64, moment: EventMoment) {
        self.sequence = sequence
        self.moment = moment
    }

    @inlinable
    public init(_ identity: EventIdentity) {
        self.init(
            sequence: identity.sequence, moment: EventMoment(at: identity.timestamp, eventID: identity.eventID))
    }
}

extension EventStamp: Comparable {
    @inlinable
    public static func < (left: EventStamp, right: EventStamp) -> Bool {
        left.sequence == right.sequence ? left.moment < right.moment : left.sequence < right.sequence
    }
}

/// The position of an event among events of other aggregates: by time, then by event id.
public struct EventMoment: Hashable, Sendable {
    public let at: Timestamp
    public let eventID: EventID

    @inlinable
    public init(at: Timestamp, eventID: EventID) {
        self.at = at
        self.eventID = eventID
    }
}

extension EventMoment: Comparable {
    @inlinable
    public static func < (left: EventMoment, right: EventMoment) -> Bool {
        left.at == right.at ? left.eventID < right.eventID : left.at < right.at
    }
}

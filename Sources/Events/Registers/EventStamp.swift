public import StreamCore

/// Where an event stands among the others of its aggregate: by its sequence, whatever the clocks say. Clocks step back,
/// and two events may share a microsecond.
///
/// An event without a sequence (0) stands before all that have one, and among its like by its moment. So the order is
/// total, also where a writer numbers some of its events only: were one without a sequence compared with the others by
/// time, three events could each stand before the next in a circle.
public struct EventStamp: Hashable, Sendable {
    /// 0 for none.
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

/// Where an event stands among those of other aggregates: by its time, then by its id.
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

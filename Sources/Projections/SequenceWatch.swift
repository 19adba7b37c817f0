internal import StreamCore

/// Watches the sequences of aggregates go by: a number left out is an event that never came, a number that does not
/// grow is one that came late. It only counts; a read model must be right either way.
///
/// An aggregate is known by its type and id: an order and its payment may have the same id.
///
/// The memory is fixed: a table of the aggregates seen last, in which two that meet in one slot displace each other.
/// An aggregate that is not in the table is taken as it comes.
struct SequenceWatch: Sendable {
    struct Counts: Sendable, Equatable {
        /// Sequences left out, each time that an aggregate jumped.
        var gaps = 0
        /// Events whose sequence is not above one already applied.
        var stale = 0
        /// An aggregate that shows one of the above, for the log.
        var exampleAggregateID: String?
    }

    private struct Slot {
        var hash = 0
        var sequence: Int64 = 0

        func known(_ hash: Int) -> Int64? { self.hash == hash ? sequence : nil }
    }

    private var slots: [Slot]

    /// - Parameter capacity: slots of 16 bytes, a power of two.
    init(capacity: Int = 1 << 16) {
        precondition(capacity > 0 && capacity & (capacity - 1) == 0, "the capacity is a power of two")
        slots = Array(repeating: Slot(), count: capacity)
    }

    /// Notes an event that is applied for the first time. A sequence of 0 claims none.
    mutating func observe(_ identity: EventIdentity, into counts: inout Counts) {
        if identity.sequence == 0 { return }
        var hasher = Hasher()
        hasher.combine(identity.aggregateType)
        hasher.combine(identity.aggregateID)
        let hash = hasher.finalize() | 1
        let index = hash >> 1 & (slots.count - 1)
        defer { slots[index] = Slot(hash: hash, sequence: max(identity.sequence, slots[index].known(hash) ?? .min)) }
        guard let last = slots[index].known(hash) else { return }
        if identity.sequence <= last {
            counts.stale += 1
        } else if identity.sequence > last + 1 {
            counts.gaps += 1
        } else {
            return
        }
        counts.exampleAggregateID = identity.aggregateID
    }

    /// Forgets everything, because another process may have applied events meanwhile.
    mutating func reset() {
        for index in slots.indices { slots[index] = Slot() }
    }
}

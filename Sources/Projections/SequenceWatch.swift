internal import StreamCore

/// Checks the sequences of aggregates. A missing number means that an event never arrived, and a number that does not
/// increase means that an event arrived late. It only counts; a read model must be correct in either case.
///
/// An aggregate is identified by its type and id, because an order and its payment may have the same id.
///
/// It uses a fixed amount of memory: a table of the aggregates seen last. Two aggregates with the same slot replace
/// each other. An aggregate that is not in the table starts with any sequence.
struct SequenceWatch: Sendable {
    struct Counts: Sendable, Equatable {
        /// The number of times that an aggregate's sequence left a gap.
        var gaps = 0
        /// The number of events whose sequence is not above one that was already applied.
        var stale = 0
        /// An example of such an aggregate, for the log.
        var exampleAggregateID: String?
    }

    private struct Slot {
        var hash = 0
        var sequence: Int64 = 0

        func known(_ hash: Int) -> Int64? { self.hash == hash ? sequence : nil }
    }

    private var slots: [Slot]

    /// - Parameter capacity: the number of slots, a power of two. A slot takes 16 bytes.
    init(capacity: Int = 1 << 16) {
        precondition(capacity > 0 && capacity & (capacity - 1) == 0, "the capacity is a power of two")
        slots = Array(repeating: Slot(), count: capacity)
    }

    /// Checks an event that is applied for the first time. A sequence of 0 means that it has none.
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

    /// Discards everything, because another process may have applied events in the meantime.
    mutating func reset() {
        for index in slots.indices { slots[index] = Slot() }
    }
}

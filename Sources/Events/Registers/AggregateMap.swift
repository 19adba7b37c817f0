/// The facts of one aggregate. Merging must be commutative, associative and idempotent.
public protocol AggregateFacts: Hashable, Sendable {
    /// The aggregate's id.
    var id: String { get }
    /// The greatest stamp of the events that have been merged.
    var last: EventStamp? { get }
    /// Merges the facts of `other`, which must belong to the same aggregate. Facts with greater stamps win.
    mutating func merge(_ other: Self)
}

/// The facts of several aggregates, for example of an order's payments or shipments. Each aggregate is ordered by its
/// own sequence.
///
/// The code is inlinable, because it runs for every row. Other modules can specialize it only then.
public struct AggregateMap<Facts: AggregateFacts>: Hashable, Sendable {
    @usableFromInline var sorted: [Facts] = []

    @inlinable
    public init() {}

    /// - Parameter facts: facts in any order.
    @inlinable
    public init(_ facts: some Sequence<Facts>) {
        for facts in facts { merge(facts) }
    }

    /// The facts, ordered by the bytes of the ids.
    @inlinable
    public var all: [Facts] { sorted }

    @inlinable
    public var isEmpty: Bool { sorted.isEmpty }

    /// Merges the facts of one aggregate.
    @inlinable
    public mutating func merge(_ facts: Facts) {
        let place = sorted.firstIndex { ExactText.compare($0.id, facts.id) >= 0 } ?? sorted.count
        if place < sorted.count, ExactText.compare(sorted[place].id, facts.id) == 0 {
            sorted[place].merge(facts)
        } else {
            sorted.insert(facts, at: place)
        }
    }

    /// Merges all facts of `other`.
    @inlinable
    public mutating func merge(_ other: Self) {
        if sorted.isEmpty { self = other } else { for facts in other.sorted { merge(facts) } }
    }

    /// Of the registers of all aggregates, the one with the latest moment.
    @inlinable
    public func latest<Fact>(_ register: (Facts) -> Register<Fact>?) -> Register<Fact>? {
        var latest: Register<Fact>?
        for facts in sorted {
            guard let found = register(facts) else { continue }
            if let known = latest, known.stamp.moment >= found.stamp.moment { continue }
            latest = found
        }
        return latest
    }

    /// The latest moment among the last events of all aggregates.
    @inlinable
    public var lastMoment: EventMoment? {
        var latest: EventMoment?
        for facts in sorted {
            guard let moment = facts.last?.moment else { continue }
            if let known = latest, known >= moment { continue }
            latest = moment
        }
        return latest
    }
}

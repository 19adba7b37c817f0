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
public struct AggregateMap<Facts: AggregateFacts>: Hashable, Sendable {
    /// The facts, ordered by the bytes of the ids.
    public private(set) var all: [Facts] = []

    public init() {}

    /// - Parameter facts: facts in any order.
    public init(_ facts: some Sequence<Facts>) {
        for facts in facts { merge(facts) }
    }

    public var isEmpty: Bool { all.isEmpty }

    /// Merges the facts of one aggregate.
    public mutating func merge(_ facts: Facts) {
        let place = all.firstIndex { ExactText.compare($0.id, facts.id) >= 0 } ?? all.count
        if place < all.count, ExactText.compare(all[place].id, facts.id) == 0 {
            all[place].merge(facts)
        } else {
            all.insert(facts, at: place)
        }
    }

    /// Merges all facts of `other`.
    public mutating func merge(_ other: Self) {
        if all.isEmpty { self = other } else { for facts in other.all { merge(facts) } }
    }

    /// Of the registers of all aggregates, the one with the latest moment.
    public func latest<Fact>(_ register: (Facts) -> Register<Fact>?) -> Register<Fact>? {
        all.compactMap(register).max { $0.stamp.moment < $1.stamp.moment }
    }

    /// The latest moment among the last events of all aggregates.
    public var lastMoment: EventMoment? {
        // This code is not specialized for other modules. There, a key path would be created again for each call.
        var latest: EventMoment?
        for facts in all {
            guard let moment = facts.last?.moment else { continue }
            if let known = latest, moment <= known { continue }
            latest = moment
        }
        return latest
    }
}

/// What is known of one aggregate. Merging is commutative, associative and idempotent.
public protocol AggregateFacts: Hashable, Sendable {
    /// Of the aggregate.
    var id: String { get }
    /// The greatest stamp of the aggregate's events that are known.
    var last: EventStamp? { get }
    /// Takes over what `other`, of the same aggregate, knows better.
    mutating func merge(_ other: Self)
}

/// What is known of an order's payments, or of its shipments: each by itself, in the order of its own sequence.
public struct AggregateMap<Facts: AggregateFacts>: Hashable, Sendable {
    /// In the order of the ids' bytes.
    public private(set) var all: [Facts] = []

    public init() {}

    /// - Parameter facts: in whatever order.
    public init(_ facts: some Sequence<Facts>) {
        for facts in facts { merge(facts) }
    }

    public var isEmpty: Bool { all.isEmpty }

    /// Takes over what is known of one aggregate.
    public mutating func merge(_ facts: Facts) {
        let place = all.firstIndex { ExactText.compare($0.id, facts.id) >= 0 } ?? all.count
        if place < all.count, ExactText.compare(all[place].id, facts.id) == 0 {
            all[place].merge(facts)
        } else {
            all.insert(facts, at: place)
        }
    }

    /// Takes over what `other` knows.
    public mutating func merge(_ other: Self) {
        if all.isEmpty { self = other } else { for facts in other.all { merge(facts) } }
    }

    /// Of the registers that each aggregate has, the one of the latest moment.
    public func latest<Fact>(_ register: (Facts) -> Register<Fact>?) -> Register<Fact>? {
        all.compactMap(register).max { $0.stamp.moment < $1.stamp.moment }
    }

    /// The latest moment of the last events of all aggregates.
    public var lastMoment: EventMoment? { all.lazy.compactMap(\.last?.moment).max() }
}

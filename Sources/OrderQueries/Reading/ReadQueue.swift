internal import DequeModule

/// What waits for a connection, in order: a pure value that reads no clock and runs nothing.
///
/// Quick reads share round trips and go before searches; one connection in each pool takes quick ones alone, so that
/// slow searches never hold up the look at one order.
struct ReadQueue<Entry> {
    /// The kind of a read.
    enum Kind: Sendable {
        /// By key, or a few rows that stand beside each other in an index: a fraction of a millisecond.
        case quick
        /// May take long.
        case search
    }

    struct Item {
        let id: UInt64
        let entry: Entry
        let deadline: ContinuousClock.Instant
        /// What it takes as a quick read, in reads of one row.
        var cost = 1
        /// How often it was run before, and has failed for a reason that is not its own.
        var attempts = 0
    }

    private var quick = Deque<Item>()
    /// What the quick reads take, in reads of one row.
    private(set) var quickCost = 0
    private var searches = Deque<Item>()
    private let maxCount: Int
    private let batchLimit: Int

    /// - Parameters:
    ///   - maxCount: how many may wait.
    ///   - batchLimit: what the quick reads that share a round trip take at most, in reads of one row.
    init(maxCount: Int, batchLimit: Int) {
        self.maxCount = maxCount
        self.batchLimit = batchLimit
    }

    var count: Int { quick.count + searches.count }

    /// - Returns: false when there is no room.
    mutating func append(_ item: Item, to kind: Kind) -> Bool {
        if count >= maxCount { return false }
        switch kind {
        case .quick:
            quick.append(item)
            quickCost += item.cost
        case .search: searches.append(item)
        }
        return true
    }

    /// Puts one back that was taken, before all others.
    mutating func putBack(_ item: Item, to kind: Kind) {
        switch kind {
        case .quick:
            quick.prepend(item)
            quickCost += item.cost
        case .search: searches.prepend(item)
        }
    }

    /// What a connection runs next: several quick reads, or one search; empty when there is nothing for it.
    mutating func next(quickOnly: Bool) -> (items: [Item], kind: Kind) {
        if quick.isEmpty {
            guard !quickOnly, let search = searches.popFirst() else { return ([], .quick) }
            return ([search], .search)
        }
        var items: [Item] = []
        var cost = 0
        while cost < batchLimit, let item = quick.popFirst() {
            items.append(item)
            cost += item.cost
        }
        quickCost -= cost
        return (items, .quick)
    }

    /// Takes one out; nil when it is not here any more.
    mutating func remove(_ id: UInt64) -> Entry? {
        removeAll { $0.id == id }.first
    }

    /// Takes out all whose time is over.
    mutating func removeExpired(at now: ContinuousClock.Instant) -> [Entry] {
        if isEmpty { return [] }
        return removeAll { $0.deadline <= now }
    }

    /// Takes out all.
    mutating func removeAll() -> [Entry] {
        removeAll { _ in true }
    }

    private mutating func removeAll(where isWanted: (Item) -> Bool) -> [Entry] {
        let removed = quick.takeAll(where: isWanted)
        quickCost -= removed.reduce(0) { $0 + $1.cost }
        return (removed + searches.takeAll(where: isWanted)).map(\.entry)
    }

    var isEmpty: Bool { quick.isEmpty && searches.isEmpty }
    var hasQuick: Bool { !quick.isEmpty }
}

extension ReadQueue: Sendable where Entry: Sendable {}
extension ReadQueue.Item: Sendable where Entry: Sendable {}

extension Deque {
    /// Takes out all that fulfil a condition, in order.
    fileprivate mutating func takeAll(where isWanted: (Element) -> Bool) -> [Element] {
        let taken = filter(isWanted)
        if !taken.isEmpty { removeAll(where: isWanted) }
        return Array(taken)
    }
}

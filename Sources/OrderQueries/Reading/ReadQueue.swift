internal import DequeModule

/// The reads that wait for a connection, in order. This is a pure value that reads no clock and runs nothing.
///
/// Quick reads share round trips and are taken before searches. One connection of each pool runs only quick reads, so
/// slow searches never delay the read of one order.
struct ReadQueue<Entry> {
    /// The kind of a read.
    enum Kind: Sendable {
        /// Reads by key, or reads a few adjacent rows of an index. It takes a fraction of a millisecond.
        case quick
        /// May take long.
        case search
    }

    struct Item {
        let id: UInt64
        let entry: Entry
        let deadline: ContinuousClock.Instant
        /// Its cost as a quick read, in reads of one row.
        var cost = 1
        /// How often it was run before and failed for a reason outside of the read.
        var attempts = 0
    }

    private var quick = Deque<Item>()
    /// The total cost of the quick reads, in reads of one row.
    private(set) var quickCost = 0
    private var searches = Deque<Item>()
    private let maxCount: Int
    private let batchLimit: Int

    /// - Parameters:
    ///   - maxCount: the maximum number of reads that wait.
    ///   - batchLimit: the maximum cost of the quick reads that share a round trip, in reads of one row.
    init(maxCount: Int, batchLimit: Int) {
        self.maxCount = maxCount
        self.batchLimit = batchLimit
    }

    var count: Int { quick.count + searches.count }

    /// - Returns: false if the queue is full.
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

    /// Puts a read that was taken back to the front of the queue.
    mutating func putBack(_ item: Item, to kind: Kind) {
        switch kind {
        case .quick:
            quick.prepend(item)
            quickCost += item.cost
        case .search: searches.prepend(item)
        }
    }

    /// Takes the next reads for a connection: several quick reads or one search; empty if there is none for it.
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

    /// Removes a read; nil if it is no longer in the queue.
    mutating func remove(_ id: UInt64) -> Entry? {
        removeAll { $0.id == id }.first
    }

    /// Removes all reads whose deadline has passed.
    mutating func removeExpired(at now: ContinuousClock.Instant) -> [Entry] {
        if isEmpty { return [] }
        return removeAll { $0.deadline <= now }
    }

    /// Removes all reads.
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
    /// Removes all elements that fulfil a condition, in order.
    fileprivate mutating func takeAll(where isWanted: (Element) -> Bool) -> [Element] {
        let taken = filter(isWanted)
        if !taken.isEmpty { removeAll(where: isWanted) }
        return Array(taken)
    }
}

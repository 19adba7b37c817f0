internal import StreamCore

/// Decides which shards this process publishes. All running processes share the shards of a table evenly.
///
/// Each process decides by the same facts: which processes run, who owns which shard, and for which shards a process
/// waits. Only the lock of a shard decides who owns it. While processes start and stop, their views may differ for a
/// moment. An attempt then fails, but a shard never has two owners.
///
/// - A process with less than its part takes free shards. The part of a single process is all shards.
/// - If no shard is free, a process with less than its part waits for the lock of a shard whose owner has more than its
///   own part.
/// - An owner with more than its part gives up a shard for which another process waits. The waiting process receives
///   the lock at once, so the shard is never without an owner.
/// - A shard that stays free belongs to the part of a process that cannot publish now. Any process may take it, and
///   keeps it until another one waits for it.
///
/// This is a pure value: it neither sleeps nor reads a clock.
struct ShardDistribution {
    typealias Instant = ContinuousClock.Instant

    /// The content of all processes' locks at one moment.
    struct View: Equatable {
        /// The running processes, by number.
        var members: Set<Int32> = []
        /// The owner of each shard. ``unknownOwner`` stands for a session that does not name its process.
        var owners: [Int: Int32] = [:]
        /// Shards for whose locks another process waits.
        var awaited: Set<Int> = []
    }

    /// The action to take now.
    enum Action: Equatable {
        /// Take the lock if it is free.
        case take(Int)
        /// Wait for the lock until its owner gives it up.
        case ask(Int)
        /// Wait for the acknowledgements of the rows in flight, remove them, and release the lock.
        case giveUp(Int)
    }

    /// The result of the work on a shard.
    enum End: Equatable {
        /// Another process owns it.
        case notFree
        /// The shard was given up.
        case released
        /// Nothing could be published. Try again after this delay.
        case failed(wait: Duration)
    }

    private enum Standing: Equatable {
        case elsewhere
        case taking
        case asking
        case held(since: Instant)
        case leaving
        case pausing(until: Instant)
    }

    static let unknownOwner: Int32 = 0

    /// Maximum number of locks to wait for at a time. Each needs a session that does nothing else.
    static let maximumAsks = 8
    /// A process that held a shard for this long has shown that it can publish.
    private static let steady = Duration.seconds(60)

    /// The number of this process.
    let member: Int32
    /// Any process may take a shard that was free for this long.
    let patience: Duration

    private var standings: [Standing]
    private var freeSince: [Int: Instant] = [:]
    /// Time after which an owner that did not give up a shard is asked for it again.
    private var refusedUntil: [Int: Instant] = [:]
    /// Time during which a process that failed takes no shards of the others.
    private var askFrom: Instant?
    private var askBackoff = Backoff(initial: .seconds(15), ceiling: .seconds(600))

    init(member: Int32, shards: Int, patience: Duration) {
        self.member = member
        self.patience = patience
        standings = [Standing](repeating: .elsewhere, count: shards)
    }

    /// What this process does with a shard.
    enum Role: Equatable {
        /// Nothing: another process publishes it, or is about to.
        case none
        /// It publishes the shard, or is about to begin or to end.
        case owner
        /// It waits after a failure.
        case pausing
    }

    func role(for shard: Int) -> Role {
        switch standings[shard] {
        case .elsewhere, .asking: .none
        case .taking, .held, .leaving: .owner
        case .pausing: .pausing
        }
    }

    // MARK: what happened

    /// Notes that this process received the lock.
    mutating func holds(_ shard: Int, now: Instant) {
        standings[shard] = .held(since: now)
    }

    /// Notes that the work on a shard has ended and its lock is released.
    mutating func ended(_ shard: Int, _ end: End, now: Instant) {
        let before = standings[shard]
        standings[shard] = .elsewhere
        switch end {
        case .released: break
        case .notFree: if before == .asking { refusedUntil[shard] = now + patience * 4 }
        case .failed(let wait):
            if case .held(let since) = before, now - since >= Self.steady { askBackoff.reset() }
            standings[shard] = .pausing(until: now + wait)
            askFrom = now + askBackoff.next()
        }
    }

    /// Notes a reading of the locks.
    ///
    /// - Parameter bound: shards that this process must not give up now.
    mutating func looked(at view: View, keeping bound: Set<Int> = [], now: Instant) -> [Action] {
        for shard in standings.indices {
            if case .pausing(let until) = standings[shard], until <= now { standings[shard] = .elsewhere }
        }
        noteFree(view, now)
        let parts = Parts(view, shards: standings.count, member: member, own: own)
        let givenUp = giveUps(view, parts, keeping: bound)
        let taken = takes(parts, now)
        return givenUp + taken + (taken.isEmpty ? asks(view, parts, now) : [])
    }

    private mutating func noteFree(_ view: View, _ now: Instant) {
        for shard in standings.indices {
            let isFree = view.owners[shard] == nil && !view.awaited.contains(shard) && standings[shard] == .elsewhere
            freeSince[shard] = isFree ? freeSince[shard] ?? now : nil
        }
    }

    private mutating func giveUps(_ view: View, _ parts: Parts, keeping bound: Set<Int>) -> [Action] {
        var excess = standings.count { if case .held = $0 { true } else { false } } - parts.own
        var actions: [Action] = []
        for shard in standings.indices.reversed() where excess > 0 && view.awaited.contains(shard) {
            guard case .held = standings[shard], !bound.contains(shard) else { continue }
            standings[shard] = .leaving
            actions.append(.giveUp(shard))
            excess -= 1
        }
        return actions
    }

    private mutating func takes(_ parts: Parts, _ now: Instant) -> [Action] {
        var missing = parts.own - own.count
        let free = freeSince.keys.sorted()
        // Processes that look at the same time begin at different shards.
        let start = free.firstIndex { $0 >= parts.firstShard } ?? 0
        var actions: [Action] = []
        for shard in free[start...] + free[..<start] {
            guard let since = freeSince[shard], missing > 0 || now - since >= patience else { continue }
            standings[shard] = .taking
            freeSince[shard] = nil
            actions.append(.take(shard))
            missing -= 1
        }
        return actions
    }

    private mutating func asks(_ view: View, _ parts: Parts, _ now: Instant) -> [Action] {
        if let askFrom, now < askFrom { return [] }
        let asking = standings.count { $0 == .asking }
        var missing = min(parts.own - own.count - asking, Self.maximumAsks - asking)
        var actions: [Action] = []
        for shard in parts.surplus(view.owners) where missing > 0 {
            guard standings[shard] == .elsewhere, !view.awaited.contains(shard) else { continue }
            if let until = refusedUntil[shard], now < until { continue }
            standings[shard] = .asking
            actions.append(.ask(shard))
            missing -= 1
        }
        return actions
    }

    /// The shards that this process owns or is about to own.
    private var own: Set<Int> {
        Set(
            standings.indices.filter {
                if case .held = standings[$0] { true } else { standings[$0] == .taking }
            })
    }

    /// The number of shards that each process should own, by one view.
    private struct Parts {
        private let counts: [Int32: Int]
        private let parts: [Int32: Int]
        private let member: Int32
        /// The number of shards that this process should own.
        let own: Int
        /// The shard at which this process begins its search for free ones.
        let firstShard: Int

        init(_ view: View, shards: Int, member: Int32, own: Set<Int>) {
            let members = view.members.union([member])
            var counts = [Int32: Int](uniqueKeysWithValues: members.map { ($0, 0) })
            // Shards of unknown processes cannot be shared.
            var outside = 0
            for (shard, owner) in view.owners where !own.contains(shard) && owner != member {
                if counts[owner] != nil { counts[owner, default: 0] += 1 } else { outside += 1 }
            }
            counts[member] = own.count
            self.member = member
            self.counts = counts
            let shared = shards - outside
            // If the shards cannot be divided evenly, the processes with the most shards keep one more, so few shards
            // change their owner.
            let order = members.sorted {
                let (left, right) = (counts[$0] ?? 0, counts[$1] ?? 0)
                return left != right ? left > right : $0 < $1
            }
            var parts: [Int32: Int] = [:]
            for (place, member) in order.enumerated() {
                parts[member] = shared / order.count + (place < shared % order.count ? 1 : 0)
            }
            self.parts = parts
            self.own = parts[member] ?? 0
            let rank = members.sorted().firstIndex(of: member) ?? 0
            firstShard = rank * shards / order.count
        }

        /// The shards of owners with more than their part. Those of the owner with the largest surplus come first.
        func surplus(_ owners: [Int: Int32]) -> [Int] {
            func excess(_ owner: Int32) -> Int { (counts[owner] ?? 0) - (parts[owner] ?? 0) }
            let owned = owners.filter { $0.value != member && parts[$0.value] != nil && excess($0.value) > 0 }
            var left: [Int32: Int] = [:]
            return owned.sorted { left, right in
                let (one, other) = (excess(left.value), excess(right.value))
                return one != other ? one > other : left.key > right.key
            }.compactMap { shard, owner in
                let count = left[owner] ?? excess(owner)
                left[owner] = count - 1
                return count > 0 ? shard : nil
            }
        }
    }
}

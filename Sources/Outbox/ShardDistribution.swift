internal import StreamCore

/// Which shards this process publishes: how the processes that are up share the shards of a table evenly.
///
/// Each process decides for itself by what all of them see: who is up, who owns which shard, and for which shards
/// somebody waits. The lock of a shard alone decides who owns it. So views that differ for a moment, as they do
/// whenever processes come and go, cost a try that fails and never give a shard two owners.
///
/// - A free shard is taken by a process that has less than its part. A process that is alone has all as its part.
/// - A process that has less than its part while nothing is free waits for the lock of a shard whose owner has more
///   than its own part.
/// - An owner that has more than its part gives up a shard that somebody waits for. The lock goes to whoever waits, so
///   that no time passes without an owner.
/// - A shard that stays free belongs to the part of a process that cannot publish it now. Anybody takes it then, and
///   keeps it until somebody waits for it.
///
/// A pure value: it neither sleeps nor reads a clock.
struct ShardDistribution {
    typealias Instant = ContinuousClock.Instant

    /// What the locks of all processes say at one moment.
    struct View: Equatable {
        /// The processes that are up, by number.
        var members: Set<Int32> = []
        /// Who owns a shard. ``unknownOwner`` stands for a session that does not say to which process it belongs.
        var owners: [Int: Int32] = [:]
        /// Shards for whose locks somebody waits.
        var awaited: Set<Int> = []
    }

    /// What to do now.
    enum Action: Equatable {
        /// Take the lock if it is free.
        case take(Int)
        /// Wait for the lock until its owner gives it up.
        case ask(Int)
        /// Publish what is in flight, remove it, and release the lock.
        case giveUp(Int)
    }

    /// How the work for a shard has ended.
    enum End: Equatable {
        /// Somebody else owns it.
        case notFree
        /// It was given up.
        case released
        /// Nothing could be published; to be tried again after this wait.
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

    /// Waits for locks at a time, at most: each is a session that does nothing else.
    static let maximumAsks = 8
    /// A shard that was held so long shows that this process can publish.
    private static let steady = Duration.seconds(60)

    /// This process.
    let member: Int32
    /// A shard that was free for so long is taken by anybody.
    let patience: Duration

    private var standings: [Standing]
    private var freeSince: [Int: Instant] = [:]
    /// An owner that was asked in vain is not asked for the same shard before.
    private var refusedUntil: [Int: Instant] = [:]
    /// A process that fails leaves the shards of the others alone for a while.
    private var askFrom: Instant?
    private var askBackoff = Backoff(initial: .seconds(15), ceiling: .seconds(600))

    init(member: Int32, shards: Int, patience: Duration) {
        self.member = member
        self.patience = patience
        standings = [Standing](repeating: .elsewhere, count: shards)
    }

    /// What this process does for a shard.
    enum Role: Equatable {
        /// Nothing: another process publishes it, or is about to.
        case none
        /// It publishes it, or is about to begin or to end.
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

    /// The lock was had.
    mutating func holds(_ shard: Int, now: Instant) {
        standings[shard] = .held(since: now)
    }

    /// The work for a shard has ended, and its lock is free as far as this process is concerned.
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

    /// The locks were looked at.
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

    /// Shards that this process has, or is about to have.
    private var own: Set<Int> {
        Set(
            standings.indices.filter {
                if case .held = standings[$0] { true } else { standings[$0] == .taking }
            })
    }

    /// How many shards each process should have, by one view.
    private struct Parts {
        private let counts: [Int32: Int]
        private let parts: [Int32: Int]
        private let member: Int32
        /// How many this process should have.
        let own: Int
        /// Where this process begins to look for free shards.
        let firstShard: Int

        init(_ view: View, shards: Int, member: Int32, own: Set<Int>) {
            let members = view.members.union([member])
            var counts = [Int32: Int](uniqueKeysWithValues: members.map { ($0, 0) })
            // What belongs to processes of another kind is not there to be shared.
            var outside = 0
            for (shard, owner) in view.owners where !own.contains(shard) && owner != member {
                if counts[owner] != nil { counts[owner, default: 0] += 1 } else { outside += 1 }
            }
            counts[member] = own.count
            self.member = member
            self.counts = counts
            let shared = shards - outside
            // Who has most keeps one more where they do not divide evenly, so that as few as can be change hands.
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

        /// The shards of those who have more than their part, from those who have most too many.
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

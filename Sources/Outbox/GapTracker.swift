/// Ranges of ids that were skipped because nobody could see a row there yet, kept for as long as one may appear.
///
/// An id is missing for one of three reasons: its transaction is still running, was rolled back, or its row was
/// published and deleted. Only the first matters. Who can still fill a gap? A transaction that inserts into the outbox
/// holds a `ROW EXCLUSIVE` lock on the table from before it draws the id until it has ended, and it ends for new
/// snapshots before it lets go of the lock. So:
///
/// 1. a gap is noticed, by a snapshot;
/// 2. later `pg_locks` is asked who holds that lock: nobody else can fill the gap;
/// 3. asked again later, those that hold it no longer have ended;
/// 4. once none is left, one more page is read, whose snapshot shows what they committed, and the gap is forgotten.
///
/// The transactions in progress of `pg_current_snapshot()` would not do: a transaction has drawn its id from the
/// sequence before it is given a transaction id, and any unrelated writer that stays open would keep all gaps.
struct GapTracker {
    private struct Group: Equatable {
        /// Ascending, apart from each other.
        var ranges: [ClosedRange<Int64>]
        /// Who may still fill them; nil until asked for the first time.
        var holders: LockHolders?
        /// The first page whose snapshot shows all that the holders have left behind.
        var lastProbe: UInt64?
        /// The first page whose snapshot shows what those have left behind that have ended since the last look.
        var news: UInt64?
        /// All holders were in progress when they were asked for last.
        var isQuiet = false

        /// The parts up to `id` and above it.
        func divided(at id: Int64) -> (below: Group, above: Group) {
            var (below, above) = (self, self)
            below.ranges = ranges.filter { $0.lowerBound <= id }.map { $0.lowerBound...min($0.upperBound, id) }
            above.ranges = ranges.filter { $0.upperBound > id }.map { max($0.lowerBound, id + 1)...$0.upperBound }
            return (below, above)
        }
    }

    /// Ranges in one page's statement, at most. More are joined to wider ones: that costs rows read twice and no more.
    static let maximumRanges = 64

    /// Ranges that are looked into outside of a page's statement, at most.
    static let maximumLook = 512

    /// Ranges that wait for the same transactions, at most; more are joined as well.
    static let maximumKept = 4_096

    private var groups: [Group] = []

    var isEmpty: Bool { groups.isEmpty }

    /// Whether asking who holds the lock could let gaps be forgotten.
    var wantsLockHolders: Bool { groups.contains { $0.lastProbe == nil } }

    /// Whether a transaction that may have filled a gap has ended since the gap was last read.
    var hasNews: Bool { groups.contains { $0.lastProbe != nil || $0.news != nil } }

    /// Whether a holder has ended since this page was asked for.
    func hasNews(since request: UInt64) -> Bool { groups.contains { ($0.news ?? 0) > request } }

    /// How many ranges are kept.
    var count: Int { groups.reduce(0) { $0 + $1.ranges.count } }

    mutating func notice(_ range: ClosedRange<Int64>) {
        if let last = groups.last, last.holders == nil {
            groups[groups.count - 1].ranges.append(range)
            if last.ranges.count >= 2 * Self.maximumKept {
                groups[groups.count - 1].ranges = Self.joined(groups[groups.count - 1].ranges, limit: Self.maximumKept)
            }
        } else {
            groups.append(Group(ranges: [range]))
        }
    }

    /// A row with this id was read: it is no gap any more.
    mutating func fill(_ id: Int64) {
        for index in groups.indices {
            guard let hit = groups[index].ranges.firstIndex(where: { $0.contains(id) }) else { continue }
            let range = groups[index].ranges[hit]
            var rest: [ClosedRange<Int64>] = []
            if range.lowerBound < id { rest.append(range.lowerBound...id - 1) }
            if range.upperBound > id { rest.append(id + 1...range.upperBound) }
            groups[index].ranges.replaceSubrange(hit...hit, with: rest)
            if groups[index].ranges.isEmpty { groups.remove(at: index) }
            return
        }
    }

    /// - Parameters:
    ///   - holders: transactions that hold the lock now.
    ///   - nextRequest: the number of the first page that will be read after they were asked for.
    mutating func lockHolders(_ holders: LockHolders, nextRequest: UInt64) {
        var kept: [Group] = []
        for var group in groups {
            if group.lastProbe == nil {
                let remaining = (group.holders ?? holders).remaining(among: holders)
                // The first answer: transactions that ended before it are unknown.
                if group.holders != remaining { group.news = nextRequest }
                group.holders = remaining
                if remaining.isEmpty { group.lastProbe = nextRequest }
                group.isQuiet = remaining.isQuiet(by: holders)
            }
            Self.append(group, to: &kept)
        }
        groups = kept
    }

    /// One long transaction must not leave a group behind at each asking, nor a part of one at each page.
    private static func append(_ group: Group, to kept: inout [Group]) {
        if let last = kept.last, last.holders == group.holders, last.lastProbe == group.lastProbe,
            last.isQuiet == group.isQuiet, (last.news == nil) == (group.news == nil)
        {
            kept[kept.count - 1].ranges = joined(last.ranges + group.ranges, limit: maximumKept)
            kept[kept.count - 1].news = [last.news, group.news].compactMap(\.self).max()
        } else {
            kept.append(group)
        }
    }

    /// A page was read that covered all gaps up to `id`.
    mutating func probed(upTo id: Int64, by request: UInt64) {
        var kept: [Group] = []
        for group in groups {
            guard let news = group.lastProbe ?? group.news, request >= news else {
                kept.append(group)
                continue
            }
            // The page that a look comes before has noticed gaps above `id`, which the look did not cover.
            var (below, above) = group.divided(at: id)
            below.news = nil
            if below.lastProbe == nil && !below.ranges.isEmpty { Self.append(below, to: &kept) }
            if !above.ranges.isEmpty { kept.append(above) }
        }
        groups = kept
    }

    /// The ranges to look into: ascending, apart from each other.
    ///
    /// - Parameter limit: how many, at most.
    func ranges(upTo position: Int64, limit: Int = Self.maximumRanges) -> [ClosedRange<Int64>] {
        if groups.isEmpty { return [] }
        let all = groups.flatMap(\.ranges).compactMap { range -> ClosedRange<Int64>? in
            range.lowerBound > position ? nil : range.clamped(to: Int64.min...position)
        }
        return Self.joined(all, limit: limit)
    }

    /// The ranges that somebody may have filled before the holders were asked for last: ascending, apart from each
    /// other.
    func openRanges(upTo position: Int64) -> [ClosedRange<Int64>] {
        var open = self
        open.groups.removeAll { $0.isQuiet && $0.news == nil && $0.lastProbe == nil }
        return open.ranges(upTo: position, limit: Self.maximumLook)
    }

    /// `ranges` in order, neighbours joined, and those joined that lie nearest to each other until `limit` are left.
    private static func joined(_ ranges: [ClosedRange<Int64>], limit: Int) -> [ClosedRange<Int64>] {
        var result: [ClosedRange<Int64>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = result.last, range.lowerBound - 1 <= last.upperBound {
                result[result.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                result.append(range)
            }
        }
        guard result.count > limit else { return result }
        let distances = (1..<result.count).map { result[$0].lowerBound - result[$0 - 1].upperBound }
        // The `limit - 1` widest distances stay; every other one is bridged.
        var keep = Set(distances.indices.sorted { distances[$0] > distances[$1] }.prefix(limit - 1))
        var bridged: [ClosedRange<Int64>] = [result[0]]
        for (index, range) in result.dropFirst().enumerated() {
            if keep.remove(index) != nil {
                bridged.append(range)
            } else {
                bridged[bridged.count - 1] = bridged[bridged.count - 1].lowerBound...range.upperBound
            }
        }
        return bridged
    }
}

/// The transactions that hold the lock of those who insert.
struct LockHolders: Equatable, Sendable {
    /// Virtual transactions of sessions.
    var running: Set<String> = []
    /// Prepared transactions: they belong to no session, and have another name than before they were prepared.
    var prepared: Set<String> = []
    /// Those that have a transaction id which was in progress in the snapshot of the statement that asked: no earlier
    /// snapshot shows anything of theirs. Only of the holders as they are asked for.
    var numbered: Set<String> = []

    /// Whether all of them were in progress when `current` was asked for.
    func isQuiet(by current: LockHolders) -> Bool {
        !isEmpty && running.isSubset(of: current.numbered) && prepared.isSubset(of: current.numbered)
    }

    var isEmpty: Bool { running.isEmpty && prepared.isEmpty }

    /// Who of these still holds the lock, as it is held now: one that no longer runs may be among the prepared.
    func remaining(among current: LockHolders) -> LockHolders {
        let stillRunning = running.intersection(current.running)
        return LockHolders(
            running: stillRunning,
            prepared: stillRunning.count == running.count ? prepared.intersection(current.prepared) : current.prepared)
    }
}

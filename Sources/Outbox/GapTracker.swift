/// Ranges of ids that the relay has passed without seeing a row. It keeps a range as long as a row may still appear
/// there.
///
/// An id is missing for one of three reasons: its transaction is still running, its transaction was rolled back, or its
/// row was published and deleted. Only the first reason matters. To find the transactions that can still fill a gap,
/// the tracker uses their locks. A transaction that inserts into the outbox takes a `ROW EXCLUSIVE` lock on the table
/// before it draws the id, and holds the lock until its end. New snapshots show it as ended before it releases the
/// lock. Therefore:
///
/// 1. A snapshot shows a gap.
/// 2. The relay reads from `pg_locks` which transactions hold that lock. No other transaction can fill the gap.
/// 3. The relay reads `pg_locks` again later. Holders that are no longer listed have ended.
/// 4. When none of them is left, the relay reads one more page. Its snapshot shows all rows that they committed, so the
///    gap is dropped.
///
/// The list of running transactions in `pg_current_snapshot()` cannot be used for this. A transaction draws its id from
/// the sequence before it receives a transaction id, and any unrelated write transaction that stays open would keep all
/// gaps.
struct GapTracker {
    private struct Group: Equatable {
        /// Ascending and without overlap.
        var ranges: [ClosedRange<Int64>]
        /// The transactions that may still fill the ranges; nil before the first query.
        var holders: LockHolders?
        /// The first page whose snapshot shows all rows that the holders committed.
        var lastProbe: UInt64?
        /// The first page whose snapshot shows the rows of the holders that ended since the ranges were last read.
        var news: UInt64?
        /// Whether all holders were in progress at the last query.
        var isQuiet = false

        /// Splits the ranges into those up to `id` and those above it.
        func divided(at id: Int64) -> (below: Group, above: Group) {
            var (below, above) = (self, self)
            below.ranges = ranges.filter { $0.lowerBound <= id }.map { $0.lowerBound...min($0.upperBound, id) }
            above.ranges = ranges.filter { $0.upperBound > id }.map { max($0.lowerBound, id + 1)...$0.upperBound }
            return (below, above)
        }
    }

    /// Maximum number of ranges in the statement of a page. If there are more, near ones are merged. The only cost is
    /// that some rows are read twice.
    static let maximumRanges = 64

    /// Maximum number of ranges that are read outside of a page's statement.
    static let maximumLook = 512

    /// Maximum number of ranges that wait for the same transactions. If there are more, near ones are merged.
    static let maximumKept = 4_096

    private var groups: [Group] = []

    var isEmpty: Bool { groups.isEmpty }

    /// Whether a query for the holders of the lock could end some gaps.
    var wantsLockHolders: Bool { groups.contains { $0.lastProbe == nil } }

    /// Whether a transaction that may have filled a gap has ended since the gap was last read.
    var hasNews: Bool { groups.contains { $0.lastProbe != nil || $0.news != nil } }

    /// Whether a holder has ended since this page was requested.
    func hasNews(since request: UInt64) -> Bool { groups.contains { ($0.news ?? 0) > request } }

    /// The number of ranges.
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

    /// Notes that a row with this id was read, so the id is no longer in a gap.
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
    ///   - holders: the transactions that hold the lock now.
    ///   - nextRequest: the number of the first page that is requested after the query for the holders.
    mutating func lockHolders(_ holders: LockHolders, nextRequest: UInt64) {
        var kept: [Group] = []
        for var group in groups {
            if group.lastProbe == nil {
                let remaining = (group.holders ?? holders).remaining(among: holders)
                // Transactions that ended before the first query are unknown.
                if group.holders != remaining { group.news = nextRequest }
                group.holders = remaining
                if remaining.isEmpty { group.lastProbe = nextRequest }
                group.isQuiet = remaining.isQuiet(by: holders)
            }
            Self.append(group, to: &kept)
        }
        groups = kept
    }

    /// Merges groups with the same state. Otherwise one long transaction would add a group with each query and each
    /// page.
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

    /// Notes that a page with this request number covered all gaps up to `id`.
    mutating func probed(upTo id: Int64, by request: UInt64) {
        var kept: [Group] = []
        for group in groups {
            guard let news = group.lastProbe ?? group.news, request >= news else {
                kept.append(group)
                continue
            }
            // The page that follows the reading of gaps has added gaps above `id`, which that reading did not cover.
            var (below, above) = group.divided(at: id)
            below.news = nil
            if below.lastProbe == nil && !below.ranges.isEmpty { Self.append(below, to: &kept) }
            if !above.ranges.isEmpty { kept.append(above) }
        }
        groups = kept
    }

    /// The ranges to read, ascending and without overlap.
    ///
    /// - Parameter limit: the maximum number of ranges.
    func ranges(upTo position: Int64, limit: Int = Self.maximumRanges) -> [ClosedRange<Int64>] {
        if groups.isEmpty { return [] }
        let all = groups.flatMap(\.ranges).compactMap { range -> ClosedRange<Int64>? in
            range.lowerBound > position ? nil : range.clamped(to: Int64.min...position)
        }
        return Self.joined(all, limit: limit)
    }

    /// The ranges that a transaction may have filled before the last query for the holders, ascending and without
    /// overlap.
    func openRanges(upTo position: Int64) -> [ClosedRange<Int64>] {
        var open = self
        open.groups.removeAll { $0.isQuiet && $0.news == nil && $0.lastProbe == nil }
        return open.ranges(upTo: position, limit: Self.maximumLook)
    }

    /// Sorts `ranges` and joins adjacent ones. Then it joins the nearest ones until at most `limit` are left.
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
        // Keeps the `limit - 1` widest distances and bridges all others.
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

/// The transactions that hold the lock of writers on the outbox table.
struct LockHolders: Equatable, Sendable {
    /// The virtual transaction ids of sessions.
    var running: Set<String> = []
    /// Prepared transactions. They belong to no session and have another id than before they were prepared.
    var prepared: Set<String> = []
    /// The holders with a transaction id that was in progress in the snapshot of the query. No earlier snapshot shows
    /// rows of these transactions. Set only in the result of a query.
    var numbered: Set<String> = []

    /// Whether all of them were in progress at the query that returned `current`.
    func isQuiet(by current: LockHolders) -> Bool {
        !isEmpty && running.isSubset(of: current.numbered) && prepared.isSubset(of: current.numbered)
    }

    var isEmpty: Bool { running.isEmpty && prepared.isEmpty }

    /// The holders of these that still hold the lock by the result of a new query. A transaction that no longer runs
    /// may be one of the prepared ones.
    func remaining(among current: LockHolders) -> LockHolders {
        let stillRunning = running.intersection(current.running)
        return LockHolders(
            running: stillRunning,
            prepared: stillRunning.count == running.count ? prepared.intersection(current.prepared) : current.prepared)
    }
}

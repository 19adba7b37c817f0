/// Who waits for which version of which order, and which orders are to be looked at next: a pure value.
///
/// An order that somebody has just asked for is looked at first. After that the time between two looks grows with the
/// time waited, so that many who wait for long take little, and none of it from those who come. An announcement of new
/// versions makes all orders due. While versions come with announcements, looks without one are rare.
struct VersionWaits<Waiter> {
    typealias Instant = ContinuousClock.Instant

    private struct Wait {
        let version: Int64
        let deadline: Instant
        let waiter: Waiter
    }

    private struct Order {
        var waits: [UInt64: Wait] = [:]
        /// When the youngest of them came.
        var since: Instant
        /// Nil when nobody has looked for the youngest of them.
        var lookedAt: Instant?
        /// Whether the last look had no other reason than that time had passed.
        var wasPaced = false

        /// The lowest version that somebody waits for.
        var lowest: Int64 { waits.values.lazy.map(\.version).min() ?? 0 }
    }

    /// Without an announcement, nobody looks at an order more often.
    static var shortestPause: Duration { .milliseconds(1) }
    /// The same while new versions are announced: looks find only what was announced to nobody.
    static var shortestPauseWhileAnnounced: Duration { .milliseconds(20) }

    /// When new versions were announced last.
    private var announcedAt: Instant?
    /// Whether announcements come. A version that was found without one shows that they do not, or not all of them.
    private(set) var hearsAnnouncements = false
    private var orders: [String: Order] = [:]
    private var orderByWait: [UInt64: String] = [:]

    var count: Int { orderByWait.count }

    /// - Parameters:
    ///   - id: another one for each wait.
    ///   - readAt: the time before a read that did not find the version; nil if there was none. While announcements
    ///     come, this read counts as a look, so that the next one follows the announcement.
    mutating func add(
        _ id: UInt64, _ orderID: String, version: Int64, at now: Instant, readAt: Instant? = nil,
        until deadline: Instant, _ waiter: Waiter
    ) {
        let lookedAt = hearsAnnouncements ? readAt : nil
        var order = orders[orderID] ?? Order(since: now, lookedAt: lookedAt)
        order.since = now
        // An announcement before this read may be about the version that somebody else waits for.
        order.lookedAt = if let lookedAt, let earlier = order.lookedAt { min(earlier, lookedAt) } else { nil }
        order.waits[id] = Wait(version: version, deadline: deadline, waiter: waiter)
        orders[orderID] = order
        orderByWait[id] = orderID
    }

    /// - Returns: nil when the wait is over already.
    mutating func remove(_ id: UInt64) -> Waiter? {
        guard let orderID = orderByWait.removeValue(forKey: id) else { return nil }
        let wait = orders[orderID]?.waits.removeValue(forKey: id)
        if orders[orderID]?.waits.isEmpty == true { orders[orderID] = nil }
        return wait?.waiter
    }

    /// Notes that orders have new versions.
    mutating func announced(at now: Instant) {
        announcedAt = now
        hearsAnnouncements = true
    }

    /// Notes that no announcements can come for the time being.
    mutating func lostAnnouncements() {
        hearsAnnouncements = false
    }

    private func isAnnounced(since look: Instant) -> Bool { announcedAt.map { $0 > look } ?? false }

    private func due(_ order: Order) -> Instant {
        guard let lookedAt = order.lookedAt else { return order.since }
        if isAnnounced(since: lookedAt) { return lookedAt }
        let shortest = hearsAnnouncements ? Self.shortestPauseWhileAnnounced : Self.shortestPause
        return lookedAt + min(max((lookedAt - order.since) / 20, shortest), .milliseconds(100))
    }

    /// The orders to look at now, which are then taken for looked at, with the lowest version that is waited for.
    mutating func take(_ limit: Int, at now: Instant) -> [(orderID: String, version: Int64)] {
        var due: [(orderID: String, due: Instant)] = []
        var new: [(orderID: String, due: Instant)] = []
        for (orderID, order) in orders {
            let time = self.due(order)
            if time > now { continue }
            if order.lookedAt == nil { new.append((orderID, time)) } else { due.append((orderID, time)) }
        }
        new.sort { $0.due < $1.due }
        // Those who come never take all of a turn from those who wait.
        let first = new.prefix(max(limit - limit / 5, limit - due.count))
        due.sort { $0.due < $1.due }
        return (first + due).prefix(limit).map { orderID, _ in
            var order = orders[orderID] ?? Order(since: now)
            order.wasPaced = order.lookedAt.map { !isAnnounced(since: $0) } ?? false
            order.lookedAt = now
            orders[orderID] = order
            return (orderID, order.lowest)
        }
    }

    /// When there is something to look at next; nil when nobody waits.
    var nextDue: Instant? { orders.values.lazy.map(due).min() }

    /// - Returns: those whose version has been reached.
    mutating func removeReached(_ orderID: String, version: Int64) -> [Waiter] {
        let order = orders[orderID]
        let reached = order?.waits.filter { $0.value.version <= version }.map(\.key) ?? []
        if !reached.isEmpty, let order, order.wasPaced, let lookedAt = order.lookedAt, !isAnnounced(since: lookedAt) {
            hearsAnnouncements = false
        }
        return reached.compactMap { remove($0) }
    }

    /// - Returns: those whose time is over.
    mutating func removeExpired(at now: Instant) -> [Waiter] {
        let expired = orders.values.flatMap { order in order.waits.filter { $0.value.deadline <= now }.map(\.key) }
        return expired.compactMap { remove($0) }
    }

    mutating func removeAll() -> [Waiter] {
        defer { (orders, orderByWait) = ([:], [:]) }
        return orders.values.flatMap { $0.waits.values.map(\.waiter) }
    }
}

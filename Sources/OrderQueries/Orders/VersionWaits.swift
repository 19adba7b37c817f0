/// The requests that wait for versions of orders. It decides which orders to read next. This is a pure value.
///
/// An order with a new request is read first. After that, the time between two reads grows with the time that the
/// request has waited. So many long waits cause few reads, and do not delay new requests. An announcement of new
/// versions makes all orders due. While new versions are announced, reads without an announcement are rare.
struct VersionWaits<Waiter> {
    typealias Instant = ContinuousClock.Instant

    private struct Wait {
        let version: Int64
        let deadline: Instant
        let waiter: Waiter
    }

    private struct Order {
        var waits: [UInt64: Wait] = [:]
        /// The time at which the youngest request came.
        var since: Instant
        /// The time of the last read; nil if the order was not read for the youngest request.
        var lookedAt: Instant?
        /// Whether only the passing of time caused the last read.
        var wasPaced = false

        /// The lowest version that a request waits for.
        var lowest: Int64 { waits.values.lazy.map(\.version).min() ?? 0 }
    }

    /// Minimum time between two reads of an order without an announcement.
    static var shortestPause: Duration { .milliseconds(1) }
    /// The same while new versions are announced. Such a read finds only a version whose announcement was lost.
    static var shortestPauseWhileAnnounced: Duration { .milliseconds(20) }

    /// The time of the last announcement.
    private var announcedAt: Instant?
    /// Whether new versions are announced. If a read without an announcement finds a version, announcements are
    /// missing.
    private(set) var hearsAnnouncements = false
    private var orders: [String: Order] = [:]
    private var orderByWait: [UInt64: String] = [:]

    var count: Int { orderByWait.count }

    /// - Parameters:
    ///   - id: a different number for each wait.
    ///   - readAt: the time before a read that did not find the version; nil if there was none. While versions are
    ///     announced, this read counts, so the next read follows an announcement.
    mutating func add(
        _ id: UInt64, _ orderID: String, version: Int64, at now: Instant, readAt: Instant? = nil,
        until deadline: Instant, _ waiter: Waiter
    ) {
        let lookedAt = hearsAnnouncements ? readAt : nil
        var order = orders[orderID] ?? Order(since: now, lookedAt: lookedAt)
        order.since = now
        // An announcement before this read may be about a version that another request waits for.
        order.lookedAt = if let lookedAt, let earlier = order.lookedAt { min(earlier, lookedAt) } else { nil }
        order.waits[id] = Wait(version: version, deadline: deadline, waiter: waiter)
        orders[orderID] = order
        orderByWait[id] = orderID
    }

    /// - Returns: nil if the wait has already ended.
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

    /// Returns the orders to read now, each with the lowest version that a request waits for, and notes that they are
    /// read.
    mutating func take(_ limit: Int, at now: Instant) -> [(orderID: String, version: Int64)] {
        var due: [(orderID: String, due: Instant)] = []
        var new: [(orderID: String, due: Instant)] = []
        for (orderID, order) in orders {
            let time = self.due(order)
            if time > now { continue }
            if order.lookedAt == nil { new.append((orderID, time)) } else { due.append((orderID, time)) }
        }
        new.sort { $0.due < $1.due }
        // New requests take at most four fifths of a turn while older ones are due.
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

    /// The time at which the next order is due; nil if no request waits.
    var nextDue: Instant? { orders.values.lazy.map(due).min() }

    /// - Returns: the requests whose version is reached.
    mutating func removeReached(_ orderID: String, version: Int64) -> [Waiter] {
        let order = orders[orderID]
        let reached = order?.waits.filter { $0.value.version <= version }.map(\.key) ?? []
        if !reached.isEmpty, let order, order.wasPaced, let lookedAt = order.lookedAt, !isAnnounced(since: lookedAt) {
            hearsAnnouncements = false
        }
        return reached.compactMap { remove($0) }
    }

    /// - Returns: the requests whose deadline has passed.
    mutating func removeExpired(at now: Instant) -> [Waiter] {
        let expired = orders.values.flatMap { order in order.waits.filter { $0.value.deadline <= now }.map(\.key) }
        return expired.compactMap { remove($0) }
    }

    mutating func removeAll() -> [Waiter] {
        defer { (orders, orderByWait) = ([:], [:]) }
        return orders.values.flatMap { $0.waits.values.map(\.waiter) }
    }
}

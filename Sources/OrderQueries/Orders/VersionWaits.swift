/// Who waits for which version of which order, and which orders are to be looked at next: a pure value.
///
/// An order that somebody has just asked for is looked at first. After that the time between two looks grows with the
/// time waited, so that many who wait for long take little, and none of it from those who come.
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
        /// Nil when nobody has looked since then.
        var lookedAt: Instant?

        var due: Instant {
            guard let lookedAt else { return since }
            return lookedAt + min(max((lookedAt - since) / 20, VersionWaits.shortestPause), .milliseconds(100))
        }
    }

    /// Nobody looks at an order more often.
    static var shortestPause: Duration { .milliseconds(1) }

    private var orders: [String: Order] = [:]
    private var orderByWait: [UInt64: String] = [:]

    var count: Int { orderByWait.count }

    /// - Parameter id: another one for each wait.
    mutating func add(
        _ id: UInt64, _ orderID: String, version: Int64, at now: Instant, until deadline: Instant, _ waiter: Waiter
    ) {
        var order = orders[orderID] ?? Order(since: now)
        order.since = now
        order.lookedAt = nil
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

    /// The orders to look at now, which are then taken for looked at.
    mutating func take(_ limit: Int, at now: Instant) -> [String] {
        var due: [(orderID: String, due: Instant)] = []
        var new: [(orderID: String, due: Instant)] = []
        for (orderID, order) in orders where order.due <= now {
            if order.lookedAt == nil { new.append((orderID, order.due)) } else { due.append((orderID, order.due)) }
        }
        new.sort { $0.due < $1.due }
        // Those who come never take all of a turn from those who wait.
        let first = new.prefix(max(limit - limit / 5, limit - due.count))
        due.sort { $0.due < $1.due }
        let taken = (first + due).prefix(limit).map(\.orderID)
        for orderID in taken { orders[orderID]?.lookedAt = now }
        return taken
    }

    /// When there is something to look at next; nil when nobody waits.
    var nextDue: Instant? { orders.values.lazy.map(\.due).min() }

    /// - Returns: those whose version has been reached.
    mutating func removeReached(_ orderID: String, version: Int64) -> [Waiter] {
        let reached = orders[orderID]?.waits.filter { $0.value.version <= version }.map(\.key) ?? []
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

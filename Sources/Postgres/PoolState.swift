/// Who has which connection of a pool and who waits for one, as a pure value: it neither connects nor waits.
struct PoolState<Connection: Sendable>: Sendable {
    /// A connection and when it was made.
    struct Member: Sendable {
        let connection: Connection
        let createdAt: ContinuousClock.Instant
    }

    struct Limits: Sendable {
        /// Connections, leased and idle and in the making.
        var maxConnections: Int
        /// Age at which a connection is not used again.
        var maxLifetime: Duration?
        /// Idleness after which a connection is not used again.
        var maxIdle: Duration?
    }

    /// What a caller or waiter gets.
    enum Grant: Sendable {
        /// This connection.
        case use(Member)
        /// Room for one more: it makes the connection itself.
        case connect
        case closed
    }

    /// What is to be done after a connection came back or its room became free.
    struct Outcome: Sendable {
        var grant: (waiter: UInt64, grant: Grant)?
        var close: [Connection] = []
    }

    private let limits: Limits
    private var idle: [(member: Member, since: ContinuousClock.Instant)] = []
    /// Connections leased or in the making.
    private(set) var leased = 0
    /// In the order in which they came.
    private var waiters: [UInt64] = []
    private(set) var isClosed = false

    init(limits: Limits) {
        precondition(limits.maxConnections > 0, "a pool needs room for a connection")
        self.limits = limits
    }

    var waiting: Int { waiters.count }
    var idleCount: Int { idle.count }

    /// Someone wants a connection.
    ///
    /// - Returns: nil when it must wait; and connections that are too old, to close.
    mutating func acquire(now: ContinuousClock.Instant) -> (grant: Grant?, close: [Connection]) {
        if isClosed { return (.closed, []) }
        let expired = removeExpired(now)
        // Nobody is overtaken: where something is free, nobody waits.
        if let last = idle.popLast() {
            leased += 1
            return (.use(last.member), expired)
        }
        if leased < limits.maxConnections {
            leased += 1
            return (.connect, expired)
        }
        return (nil, expired)
    }

    /// Someone for whom nothing was free joins the queue.
    mutating func wait(_ waiter: UInt64) {
        waiters.append(waiter)
    }

    /// A leased connection came back fit for use.
    mutating func release(_ member: Member, now: ContinuousClock.Instant) -> Outcome {
        if isClosed || isTooOld(member, now) { return discard(closing: member.connection) }
        if !waiters.isEmpty {
            return Outcome(grant: (waiters.removeFirst(), .use(member)))
        }
        leased -= 1
        idle.append((member, now))
        return Outcome(close: removeExpired(now))
    }

    /// A leased connection is broken, or could not be made.
    mutating func discard(closing connection: Connection? = nil) -> Outcome {
        let close = connection.map { [$0] } ?? []
        if !isClosed && !waiters.isEmpty {
            return Outcome(grant: (waiters.removeFirst(), .connect), close: close)
        }
        leased -= 1
        return Outcome(close: close)
    }

    /// A waiter gives up.
    ///
    /// - Returns: whether it still waited; otherwise its grant is on its way to it.
    mutating func leave(_ waiter: UInt64) -> Bool {
        guard let place = waiters.firstIndex(of: waiter) else { return false }
        waiters.remove(at: place)
        return true
    }

    /// No more connections are handed out.
    mutating func close() -> (waiters: [UInt64], connections: [Connection]) {
        isClosed = true
        defer {
            waiters.removeAll()
            idle.removeAll()
        }
        return (waiters, idle.map(\.member.connection))
    }

    private func isTooOld(_ member: Member, _ now: ContinuousClock.Instant) -> Bool {
        limits.maxLifetime.map { now - member.createdAt >= $0 } ?? false
    }

    private mutating func removeExpired(_ now: ContinuousClock.Instant) -> [Connection] {
        guard limits.maxLifetime != nil || limits.maxIdle != nil else { return [] }
        var expired: [Connection] = []
        var kept: [(member: Member, since: ContinuousClock.Instant)] = []
        for entry in idle {
            let isUnused = limits.maxIdle.map { now - entry.since >= $0 } ?? false
            if isUnused || isTooOld(entry.member, now) {
                expired.append(entry.member.connection)
            } else {
                kept.append(entry)
            }
        }
        idle = kept
        return expired
    }
}

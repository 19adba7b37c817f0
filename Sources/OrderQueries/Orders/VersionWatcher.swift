internal import Postgres
internal import StreamCore
internal import Synchronization

/// Waits until orders reach versions in the read model. One statement reads the orders of many waiting requests.
///
/// ``VersionWaits`` decides which orders to read and when. After a slow read, the next one comes later, so reading
/// never takes more than a part of one connection's time. Notifications of the projection say when a read is useful.
/// They are only hints: without them, the read comes a little later.
/// are hints, and without them the look comes a little later.
final class VersionWatcher: Sendable {
    private typealias Waits = VersionWaits<CheckedContinuation<ReadRows?, Never>>

    private struct State {
        var waits = Waits()
        var lastID: UInt64 = 0
        /// The loop, while it sleeps because no order is due.
        var sleeper: CheckedContinuation<Void, Never>?
        /// Whether a request or a notification has come since the loop last took orders to read.
        var hasNews = false
        var isStopped = false
    }

    private let postgres: PostgresConfiguration
    private let notifyChannel: String?
    private let session: PostgresSession
    private let maxWaiters: Int
    private let state = Mutex(State())

    private static let longestPause = Duration.milliseconds(500)
    private static let pauseAfterFailure = Duration.milliseconds(100)
    /// Maximum number of orders that one statement reads.
    private static let pageSize = 500

    /// - Parameters:
    ///   - maxWaiters: the maximum number of requests that may wait at the same time.
    ///   - notifyChannel: the channel that the projection notifies; nil to only poll.
    init(_ postgres: PostgresConfiguration, maxWaiters: Int, notifyChannel: String? = nil) {
        self.postgres = postgres
        self.notifyChannel = notifyChannel
        var looking = postgres
        looking.settings.merge(Self.planning) { given, _ in given }
        session = PostgresSession(looking, backoff: Backoff(initial: .milliseconds(50), ceiling: .seconds(2)))
        self.maxWaiters = maxWaiters
    }

    /// Planning the statement takes longer than running it. The plan reads each order by its key, even if it was
    /// created while the table was empty.
    private static let planning = [
        "plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "enable_bitmapscan": "off",
        "enable_hashjoin": "off", "enable_mergejoin": "off", "jit": "off",
    ]

    /// The number of requests that wait now.
    var count: Int { state.withLock { $0.waits.count } }

    /// Whether notifications come, according to the last waits that needed them.
    var hearsNotifications: Bool { state.withLock { $0.waits.hearsAnnouncements } }

    /// Waits until the read model has the version.
    ///
    /// - Parameter readAt: the time before a read that did not find the version; nil if there was none.
    /// - Returns: the order's row, as ``OrderStatements/columns``; nil if the deadline passes first or the task is
    ///   cancelled.
    /// - Throws: ``ReadError/overloaded`` if too many requests wait.
    func wait(
        for orderID: String, version: Int64, readAt: ContinuousClock.Instant? = nil,
        until deadline: ContinuousClock.Instant
    ) async throws(ReadError) -> ReadRows? {
        let admitted: UInt64? = state.withLock { state in
            if state.waits.count >= maxWaiters { return nil }
            state.lastID += 1
            return state.lastID
        }
        guard let id = admitted else { throw .overloaded }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if Task.isCancelled || state.isStopped { return true }
                    state.waits.add(
                        id, orderID, version: version, at: .now, readAt: readAt, until: deadline, continuation)
                    return false
                }
                if isOver { continuation.resume(returning: nil) } else { wakeLoop() }
            }
        } onCancel: {
            state.withLock { $0.waits.remove(id) }?.resume(returning: nil)
        }
    }

    /// Wakes the loop. If it does not sleep, its next sleep ends at once.
    private func wakeLoop() {
        let woken = state.withLock { state in
            state.hasNews = true
            defer { state.sleeper = nil }
            return state.sleeper
        }
        woken?.resume()
    }

    // MARK: the loop

    /// Reads until the task is cancelled. Then all waits end.
    ///
    /// - Parameters:
    ///   - onTurn: called often while deadlines are checked.
    ///   - onWork: called before each statement and each wait.
    func run(
        onTurn: @escaping @Sendable () -> Void = {},
        onWork: @escaping @Sendable (QueryService.Activity) -> Void = { _ in }
    ) async {
        state.withLock { $0.isStopped = false }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.look(onWork) }
            group.addTask { await self.expire(onTurn) }
            if let notifyChannel { group.addTask { await self.listen(notifyChannel) } }
        }
        release { state in
            state.isStopped = true
            return state.waits.removeAll()
        }
    }

    private func look(_ onWork: @Sendable (QueryService.Activity) -> Void) async {
        var connection: PostgresConnection?
        while !Task.isCancelled {
            let start = ContinuousClock.now
            let wanted = state.withLock { state in
                state.hasNews = false
                return state.waits.take(Self.pageSize, at: start)
            }
            if wanted.isEmpty {
                onWork(.idle)
                await sleepUntilDue()
                continue
            }
            do {
                // The session may have to connect first, and the database determines how long this takes.
                onWork(.idle)
                var hasLooked = false
                while !hasLooked {
                    let open: PostgresConnection
                    if let connection { open = connection } else { open = try await session.connection() }
                    onWork(.moving)
                    hasLooked = try await look(at: wanted, on: open)
                    connection = hasLooked ? open : nil
                }
                try? await Task.sleep(for: min((ContinuousClock.now - start) * 2, Self.longestPause))
            } catch {
                // The waiting requests have deadlines, and the pool of reads reports that the database is not
                // available.
                connection = nil
                try? await Task.sleep(for: Self.pauseAfterFailure)
            }
        }
    }

    /// Reads orders, on the thread of the connection, because each change of thread delays waiting requests.
    ///
    /// - Returns: false if the server has closed the connection while nobody used it.
    private func look(
        at orders: [(orderID: String, version: Int64)], on connection: isolated PostgresConnection
    ) async throws(PostgresError) -> Bool {
        guard connection.isAlive() else { return false }
        var (ids, least) = (TextArray(), Int64Array())
        for order in orders {
            ids.append(order.orderID)
            least.append(order.version)
        }
        let parameters = Parameters {
            $0.append(ids)
            $0.append(least)
        }
        let rows = try await connection.execute(
            OrderStatements.reached, parameters, timeoutMs: Self.statementTimeoutMs)
        for row in 0..<rows.rowCount {
            let (orderID, version) = (try rows.string(row, 0), try OrderJSON.version(rows, row))
            let reached = state.withLock { $0.waits.removeReached(orderID, version: version) }
            for waiter in reached { waiter.resume(returning: ReadRows(result: rows, range: row..<row + 1)) }
        }
        return true
    }

    /// Listens for notifications until the task is cancelled. Periodic reads make up for notifications that were
    /// missed.
    private func listen(_ channel: String) async {
        var backoff = Backoff(initial: .milliseconds(100), ceiling: .seconds(10))
        while !Task.isCancelled {
            do throws(PostgresError) {
                let listener = try await PostgresListener.connect(postgres, channels: [channel])
                backoff.reset()
                try await listener.run { _ in
                    self.state.withLock { $0.waits.announced(at: .now) }
                    self.wakeLoop()
                }
            } catch {
                // The sessions that read report a database that is not available.
            }
            state.withLock { $0.waits.lostAnnouncements() }
            // Cancellation ends this sleep, and then the loop.
            try? await Task.sleep(for: backoff.next())
        }
    }

    /// Returns when an order is due, when a request comes, or when the task is cancelled. While notifications come, the
    /// loop that ends expired waits also checks for orders that are due. A timer here would delay the reaction to a
    /// notification.
    private func sleepUntilDue() async {
        let due = state.withLock { $0.waits.hearsAnnouncements ? nil : $0.waits.nextDue }
        guard let due else { return await sleepUntilWoken() }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { try? await Task.sleep(until: due, clock: .continuous) }
            group.addTask { await self.sleepUntilWoken() }
            await group.next()
            group.cancelAll()
        }
    }

    private func sleepUntilWoken() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isNeeded = state.withLock { state in
                    if state.hasNews || Task.isCancelled { return true }
                    state.sleeper = continuation
                    return false
                }
                if isNeeded { continuation.resume() }
            }
        } onCancel: {
            let sleeper = state.withLock { state in
                defer { state.sleeper = nil }
                return state.sleeper
            }
            sleeper?.resume()
        }
    }

    private static let statementTimeoutMs = 2_000
    static let statementTimeout = Duration.milliseconds(statementTimeoutMs)

    static let expiryInterval = Duration.milliseconds(20)

    /// Ends the waits whose deadline has passed, even while the database is not available.
    private func expire(_ onTurn: @Sendable () -> Void) async {
        while !Task.isCancelled {
            try? await Task.sleep(for: Self.expiryInterval)
            release { $0.waits.removeExpired(at: .now) }
            if state.withLock({ $0.waits.nextDue.map { $0 <= .now } ?? false }) { wakeLoop() }
            onTurn()
        }
    }

    private func release(_ remove: (inout State) -> [CheckedContinuation<ReadRows?, Never>]) {
        for continuation in state.withLock({ remove(&$0) }) { continuation.resume(returning: nil) }
    }
}

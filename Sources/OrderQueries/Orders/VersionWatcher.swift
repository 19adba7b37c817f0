internal import Postgres
internal import StreamCore
internal import Synchronization

/// Waits for orders to reach versions in the read model, for all requests that wait, with one statement for all.
///
/// Which orders it looks at and when, ``VersionWaits`` says. When looking itself takes long it comes more seldom, so
/// that it never uses more than a part of one connection.
final class VersionWatcher: Sendable {
    private typealias Waits = VersionWaits<CheckedContinuation<Void, Never>>

    private struct State {
        var waits = Waits()
        var lastID: UInt64 = 0
        /// The loop, while there is nothing to look at yet.
        var sleeper: CheckedContinuation<Void, Never>?
        /// Whether somebody has come since the loop looked for something to do.
        var hasNewcomer = false
        var isStopped = false
    }

    private let session: PostgresSession
    private let maxWaiters: Int
    private let state = Mutex(State())

    private static let longestPause = Duration.milliseconds(500)
    private static let pauseAfterFailure = Duration.milliseconds(100)
    /// A statement asks for so many orders at most.
    private static let pageSize = 500

    /// - Parameter maxWaiters: requests that may wait at once.
    init(_ postgres: PostgresConfiguration, maxWaiters: Int) {
        session = PostgresSession(postgres, backoff: Backoff(initial: .milliseconds(50), ceiling: .seconds(2)))
        self.maxWaiters = maxWaiters
    }

    /// Requests that wait now.
    var count: Int { state.withLock { $0.waits.count } }

    /// Returns when the read model has the version, when the time is over, or when the task is cancelled; which of
    /// them it was, the next look at the order tells.
    ///
    /// - Throws: ``ReadError/overloaded`` when too many wait.
    func wait(for orderID: String, version: Int64, until deadline: ContinuousClock.Instant) async throws(ReadError) {
        let admitted: UInt64? = state.withLock { state in
            if state.waits.count >= maxWaiters { return nil }
            state.lastID += 1
            return state.lastID
        }
        guard let id = admitted else { throw .overloaded }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let woken: CheckedContinuation<Void, Never>? = state.withLock { state in
                    if Task.isCancelled || state.isStopped { return continuation }
                    state.waits.add(id, orderID, version: version, at: .now, until: deadline, continuation)
                    state.hasNewcomer = true
                    defer { state.sleeper = nil }
                    return state.sleeper
                }
                woken?.resume()
            }
        } onCancel: {
            state.withLock { $0.waits.remove(id) }?.resume()
        }
    }

    // MARK: the loop

    /// Looks until the task is cancelled; then nobody waits any longer.
    ///
    /// - Parameters:
    ///   - onTurn: called often while the time limits of those who wait are looked after.
    ///   - onWork: called before each statement and each wait.
    func run(
        onTurn: @escaping @Sendable () -> Void = {},
        onWork: @escaping @Sendable (QueryService.Activity) -> Void = { _ in }
    ) async {
        state.withLock { $0.isStopped = false }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.look(onWork) }
            group.addTask { await self.expire(onTurn) }
        }
        release { state in
            state.isStopped = true
            return state.waits.removeAll()
        }
    }

    private func look(_ onWork: @Sendable (QueryService.Activity) -> Void) async {
        while !Task.isCancelled {
            let start = ContinuousClock.now
            let wanted = state.withLock { state in
                state.hasNewcomer = false
                return state.waits.take(Self.pageSize, at: start)
            }
            if wanted.isEmpty {
                onWork(.idle)
                await sleepUntilDue()
                continue
            }
            do {
                // The session may have to connect first, which takes as long as the database wants.
                onWork(.idle)
                let connection = try await session.connection()
                onWork(.moving)
                try await look(at: wanted, on: connection)
                let pause = max((ContinuousClock.now - start) * 2, Waits.shortestPause)
                try? await Task.sleep(for: min(pause, Self.longestPause))
            } catch {
                // The waiters have their deadlines, and the pool of reads says that the database is away.
                try? await Task.sleep(for: Self.pauseAfterFailure)
            }
        }
    }

    private func look(at orderIDs: [String], on connection: PostgresConnection) async throws(PostgresError) {
        var ids = TextArray()
        for id in orderIDs { ids.append(id) }
        let rows = try await connection.execute(
            OrderStatements.versions, Parameters { $0.append(ids) }, timeoutMs: Self.statementTimeoutMs)
        var versions: [(String, Int64)] = []
        for row in 0..<rows.rowCount { versions.append((try rows.string(row, 0), try rows.int64(row, 1))) }
        let read = versions
        release { state in read.flatMap { state.waits.removeReached($0.0, version: $0.1) } }
    }

    /// Returns when an order is due, when somebody comes, or when the task is cancelled.
    private func sleepUntilDue() async {
        guard let due = state.withLock({ $0.waits.nextDue }) else { return await sleepUntilWoken() }
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
                    if state.hasNewcomer || Task.isCancelled { return true }
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

    /// Lets those go whose time is over, also while the database is away.
    private func expire(_ onTurn: @Sendable () -> Void) async {
        while !Task.isCancelled {
            try? await Task.sleep(for: Self.expiryInterval)
            release { $0.waits.removeExpired(at: .now) }
            onTurn()
        }
    }

    private func release(_ remove: (inout State) -> [CheckedContinuation<Void, Never>]) {
        for continuation in state.withLock({ remove(&$0) }) { continuation.resume() }
    }
}

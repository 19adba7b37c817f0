internal import Postgres
internal import StreamCore
internal import Synchronization

/// Waits for orders to reach versions in the read model, for all requests that wait, with one statement for all.
///
/// While somebody waits it looks every few milliseconds; more seldom when all have waited for long, and when looking
/// itself takes long, so that it never uses more than a part of one connection.
final class VersionWatcher: Sendable {
    private struct Waiter {
        let orderID: String
        let version: Int64
        let since: ContinuousClock.Instant
        let deadline: ContinuousClock.Instant
        let continuation: CheckedContinuation<Void, Never>
    }

    private struct State {
        var waiters: [UInt64: Waiter] = [:]
        var lastID: UInt64 = 0
        /// The loop, while nobody waits.
        var sleeper: CheckedContinuation<Void, Never>?
    }

    private let session: PostgresSession
    private let maxWaiters: Int
    private let state = Mutex(State())

    private static let shortestPause = Duration.milliseconds(2)
    private static let longestPause = Duration.milliseconds(100)
    /// A statement asks for so many orders at most.
    private static let pageSize = 500

    /// - Parameter maxWaiters: requests that may wait at once.
    init(_ postgres: PostgresConfiguration, maxWaiters: Int) {
        session = PostgresSession(postgres, backoff: Backoff(initial: .milliseconds(50), ceiling: .seconds(2)))
        self.maxWaiters = maxWaiters
    }

    /// Returns when the read model has the version, when the time is over, or when the task is cancelled; which of
    /// them it was, the next look at the order tells.
    ///
    /// - Throws: ``ReadError/overloaded`` when too many wait.
    func wait(for orderID: String, version: Int64, until deadline: ContinuousClock.Instant) async throws(ReadError) {
        let admitted: UInt64? = state.withLock { state in
            if state.waiters.count >= maxWaiters { return nil }
            state.lastID += 1
            return state.lastID
        }
        guard let id = admitted else { throw .overloaded }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let waiter = Waiter(
                    orderID: orderID, version: version, since: .now, deadline: deadline, continuation: continuation)
                let woken: CheckedContinuation<Void, Never>? = state.withLock { state in
                    if Task.isCancelled { return continuation }
                    state.waiters[id] = waiter
                    defer { state.sleeper = nil }
                    return state.sleeper
                }
                woken?.resume()
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.continuation.resume()
        }
    }

    // MARK: the loop

    /// Looks until the task is cancelled; then nobody waits any longer.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.look() }
            group.addTask { await self.expire() }
        }
        release { _ in true }
    }

    private func look() async {
        while !Task.isCancelled {
            await sleepUntilNeeded()
            let start = ContinuousClock.now
            do {
                try await lookOnce()
            } catch {
                // The waiters have their deadlines, and the pool of reads says that the database is away.
                try? await Task.sleep(for: Self.longestPause)
            }
            let pause = max(pace(), (ContinuousClock.now - start) * 2)
            try? await Task.sleep(for: min(pause, Self.longestPause * 5))
        }
    }

    /// One that came just now is worth a look soon; the wait of others grows by a part of what it was.
    private func pace() -> Duration {
        let youngest = state.withLock { $0.waiters.values.map(\.since).max() }
        guard let youngest else { return .zero }
        return min(max((ContinuousClock.now - youngest) / 20, Self.shortestPause), Self.longestPause)
    }

    private func sleepUntilNeeded() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isNeeded = state.withLock { state in
                    if !state.waiters.isEmpty || Task.isCancelled { return true }
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

    private func lookOnce() async throws(PostgresError) {
        let wanted = Set(state.withLock { $0.waiters.values.map(\.orderID) }).sorted()
        if wanted.isEmpty { return }
        let connection = try await session.connection()
        for start in stride(from: 0, to: wanted.count, by: Self.pageSize) {
            var ids = TextArray()
            for id in wanted[start..<min(start + Self.pageSize, wanted.count)] { ids.append(id) }
            let rows = try await connection.execute(
                OrderStatements.versions, Parameters { $0.append(ids) }, timeoutMs: 2_000)
            var versions: [String: Int64] = [:]
            for row in 0..<rows.rowCount { versions[try rows.string(row, 0)] = try rows.int64(row, 1) }
            release { waiter in versions[waiter.orderID].map { $0 >= waiter.version } ?? false }
        }
    }

    /// Lets those go whose time is over, also while the database is away.
    private func expire() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(20))
            let now = ContinuousClock.now
            release { $0.deadline <= now }
        }
    }

    private func release(_ isDone: (Waiter) -> Bool) {
        let done = state.withLock { state in
            let ids = state.waiters.filter { isDone($0.value) }.keys
            return ids.compactMap { state.waiters.removeValue(forKey: $0)?.continuation }
        }
        for continuation in done { continuation.resume() }
    }
}

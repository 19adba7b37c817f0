internal import Synchronization

/// Connections that tasks share, each for as long as it needs one.
public final class PostgresPool: Sendable {
    /// The pool's limits.
    public struct Limits: Sendable, Hashable {
        /// Connections at most, the ones in the making included.
        public var maxConnections = 8
        /// Milliseconds until waiting for a connection fails.
        public var acquireTimeoutMs = 5_000
        /// Milliseconds after which a connection is replaced; nil for never.
        public var maxLifetimeMs: Int?
        /// Milliseconds after which an unused connection is closed; nil for never.
        public var maxIdleMs: Int? = 300_000

        public init() {}
    }

    private typealias State = PoolState<PostgresConnection>

    private enum Waited: Sendable {
        case granted(State.Grant)
        case timedOut
        case cancelled
    }

    private struct Shared {
        var state: State
        var continuations: [UInt64: CheckedContinuation<Waited, Never>] = [:]
        var lastWaiter: UInt64 = 0
    }

    private let configuration: PostgresConfiguration
    private let limits: Limits
    private let shared: Mutex<Shared>

    public init(_ configuration: PostgresConfiguration, limits: Limits = Limits()) {
        self.configuration = configuration
        self.limits = limits
        shared = Mutex(
            Shared(
                state: State(
                    limits: .init(
                        maxConnections: limits.maxConnections,
                        maxLifetime: limits.maxLifetimeMs.map { .milliseconds($0) },
                        maxIdle: limits.maxIdleMs.map { .milliseconds($0) }))))
    }

    /// Runs `body` with a connection that nobody else uses meanwhile.
    ///
    /// A connection that comes back inside a transaction is rolled back; one for which that fails is closed.
    ///
    /// - Throws: what `body` throws; ``PostgresError`` when there is no connection in time.
    @discardableResult
    public func withConnection<Result>(_ body: (PostgresConnection) async throws -> Result) async throws -> Result {
        let member = try await acquire()
        let result: Result
        do {
            result = try await body(member.connection)
        } catch {
            await release(member)
            throw error
        }
        await release(member)
        return result
    }

    /// Runs `body` in a transaction on a connection of the pool, and commits it.
    ///
    /// - Throws: what `body` throws, after a rollback; ``TransactionError`` when the end is not a commit;
    ///   ``PostgresError`` when there is no connection in time.
    @discardableResult
    public func withTransaction<Result>(
        isolation level: IsolationLevel = .readCommitted, _ body: (PostgresTransaction) async throws -> Result
    ) async throws -> Result {
        try await withConnection { try await $0.withTransaction(isolation: level, body) }
    }

    /// Closes the connections that nobody uses; those in use when they come back. Whoever waits gets an error.
    public func close() async {
        let (waiting, connections) = shared.withLock { shared in
            let (waiters, connections) = shared.state.close()
            return (waiters.compactMap { shared.continuations.removeValue(forKey: $0) }, connections)
        }
        for continuation in waiting { continuation.resume(returning: .granted(.closed)) }
        for connection in connections { await connection.close() }
    }

    // MARK: -

    private func acquire() async throws(PostgresError) -> State.Member {
        let deadline = ContinuousClock.now + .milliseconds(limits.acquireTimeoutMs)
        while true {
            switch await firstGrant(deadline) {
            case .granted(.closed): throw PostgresError(.poolClosed, "the pool is closed")
            case .timedOut:
                throw PostgresError(.poolTimeout, "no connection became free in \(limits.acquireTimeoutMs) ms")
            case .cancelled: throw PostgresError(.cancelled, "cancelled while waiting for a connection")
            case .granted(.use(let member)):
                if await member.connection.isAlive() { return member }
                await carryOut { $0.discard(closing: member.connection) }
            case .granted(.connect):
                return try await connect(deadline)
            }
        }
    }

    private func connect(_ deadline: ContinuousClock.Instant) async throws(PostgresError) -> State.Member {
        var configuration = configuration
        let left = max(deadline - .now, .milliseconds(1)).components
        let leftMs = left.seconds * 1_000 + left.attoseconds / 1_000_000_000_000_000
        configuration.connectTimeoutMs = min(configuration.connectTimeoutMs, max(Int(leftMs), 1))
        do throws(PostgresError) {
            let connection = try await PostgresConnection.connect(configuration)
            return State.Member(connection: connection, createdAt: .now)
        } catch {
            await carryOut { $0.discard() }
            throw error
        }
    }

    private func firstGrant(_ deadline: ContinuousClock.Instant) async -> Waited {
        let now = ContinuousClock.now
        let (grant, expired, waiter) = shared.withLock { shared in
            shared.lastWaiter += 1
            let (grant, expired) = shared.state.acquire(now: now)
            return (grant, expired, shared.lastWaiter)
        }
        for connection in expired { await connection.close() }
        if let grant { return .granted(grant) }
        return await withTaskGroup(of: Void.self) { group in
            group.addTask { [self] in
                // Ends early when the group is cancelled because the wait is over.
                do { try await Task.sleep(until: deadline, clock: .continuous) } catch { return }
                giveUp(waiter, .timedOut)
            }
            defer { group.cancelAll() }
            return await wait(waiter)
        }
    }

    /// Joins the queue and stays until it is granted something, its time is over, or its task is cancelled.
    private func wait(_ waiter: UInt64) async -> Waited {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let now = ContinuousClock.now
                let answer: Waited? = shared.withLock { shared in
                    // The handler below runs after the flag is set: either we see it here, or it finds us in the queue.
                    if Task.isCancelled { return .cancelled }
                    // Something may have become free since. What is too old closes with its last reference.
                    if let grant = shared.state.acquire(now: now).grant { return .granted(grant) }
                    shared.state.wait(waiter)
                    shared.continuations[waiter] = continuation
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            giveUp(waiter, .cancelled)
        }
    }

    private func giveUp(_ waiter: UInt64, _ reason: Waited) {
        let continuation = shared.withLock { shared in
            shared.state.leave(waiter) ? shared.continuations.removeValue(forKey: waiter) : nil
        }
        continuation?.resume(returning: reason)
    }

    private func release(_ member: State.Member) async {
        let isFit = await member.connection.reset()
        let now = ContinuousClock.now
        await carryOut { isFit ? $0.release(member, now: now) : $0.discard(closing: member.connection) }
    }

    private func carryOut(_ change: (inout State) -> State.Outcome) async {
        let (outcome, continuation) = shared.withLock { shared in
            let outcome = change(&shared.state)
            return (outcome, outcome.grant.flatMap { shared.continuations.removeValue(forKey: $0.waiter) })
        }
        if let grant = outcome.grant { continuation?.resume(returning: .granted(grant.grant)) }
        for connection in outcome.close { await connection.close() }
    }
}

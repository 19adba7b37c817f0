internal import Logging
internal import Postgres
internal import StreamCore
internal import Synchronization

/// The database connections that all reads share, and the queue of reads.
///
/// While one connection runs quick reads, new quick reads wait for a fraction of a millisecond, until it is done. They
/// then share a round trip. Reads that differ only by their key share a statement. When the queue becomes longer than
/// one round trip can serve, another connection starts. So a longer queue makes each read cheaper: it costs more to run
/// a statement and to wake a thread than to read an order.
final class ReadPool: Sendable {
    typealias Kind = ReadQueue<PendingRead>.Kind
    private typealias Item = ReadQueue<PendingRead>.Item

    private struct Work {
        /// How often the connection has taken reads from the queue.
        var turns: UInt64 = 0
        /// Whether it received reads the last time.
        var isBusy = false
    }

    private struct State {
        var queue: ReadQueue<PendingRead>
        /// The connections without work.
        var idle: [(worker: Int, continuation: CheckedContinuation<Void, Never>)] = []
        /// The connections that run quick reads, or were woken to run them.
        var onQuick: Set<Int> = []
        /// The work of each connection, to detect one that makes no progress.
        var work: [Work]
        var connected = 0
        /// Whether the last attempt to connect has failed.
        var isAway = false
    }

    private let postgres: PostgresConfiguration
    private let configuration: ReadPoolConfiguration
    private let logger: Logger
    private let state: Mutex<State>
    private let lastID = Atomic<UInt64>(0)

    init(_ postgres: PostgresConfiguration, _ configuration: ReadPoolConfiguration, logger: Logger) {
        self.postgres = configuration.session(postgres)
        self.configuration = configuration
        self.logger = logger
        state = Mutex(
            State(
                queue: ReadQueue(maxCount: configuration.maxQueued, batchLimit: configuration.batchLimit),
                work: Array(repeating: Work(), count: configuration.connections)))
    }

    // MARK: reading

    /// Runs one statement.
    func read(_ statement: Statement, _ parameters: Parameters, _ kind: Kind) async throws(ReadError) -> QueryResult {
        try await read([(statement, parameters)], kind)[0]
    }

    /// Runs statements that belong together.
    func read(_ statements: Statements, _ kind: Kind) async throws(ReadError) -> [QueryResult] {
        try await wait(kind, cost: 1) { .statements(statements, $0) }
    }

    /// Reads the rows of a key.
    ///
    /// - Parameters:
    ///   - statement: returns the rows of all keys. The rows of one key are adjacent. The last column is the position
    ///     of the key among the keys, from 1. `$1` is the array of the keys' texts. If the keys have positions after
    ///     which their pages begin, `$2` is the array of their times and `$3` the array of their order ids. Either all
    ///     keys of a statement have a position, or none.
    ///   - cost: the cost of the read, in reads of one row.
    func rows(of key: ReadKey, by statement: Statement, cost: Int = 1) async throws(ReadError) -> ReadRows {
        try await wait(.quick, cost: cost) { .rows(key, statement: statement, $0) }
    }

    private func wait<Answer>(
        _ kind: Kind, cost: Int, _ read: (PendingRead.Waiter<Answer>) -> PendingRead
    ) async throws(ReadError) -> Answer {
        let deadline = ContinuousClock.now + .milliseconds(configuration.queueTimeoutMs)
        let id = lastID.add(1, ordering: .relaxed).newValue
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in
                enqueue(.init(id: id, entry: read(waiter), deadline: deadline, cost: cost), kind)
            }
        } onCancel: {
            let read = state.withLock { $0.queue.remove(id) }
            read?.fail(.cancelled)
        }
        return try result.get()
    }

    private func enqueue(_ item: Item, _ kind: Kind) {
        let outcome: (refusal: ReadError?, woken: CheckedContinuation<Void, Never>?) = state.withLock { state in
            // The handler of a cancellation runs after the flag is set. So either the flag is seen here, or the handler
            // finds the item.
            if Task.isCancelled { return (.cancelled, nil) }
            // It is useless to wait for a database that is not available, and the client would wait too.
            if state.isAway && state.connected == 0 { return (.unavailable, nil) }
            guard state.queue.append(item, to: kind) else { return (.overloaded, nil) }
            return (nil, wake(&state, for: kind))
        }
        if let refusal = outcome.refusal { item.entry.fail(refusal) }
        outcome.woken?.resume()
    }

    /// The idle connection to wake for a read; nil if none is needed. The one that was used last is chosen, because its
    /// memory is still in the processor's cache.
    private func wake(_ state: inout State, for kind: Kind) -> CheckedContinuation<Void, Never>? {
        if kind == .quick && state.queue.quickCost <= state.onQuick.count * configuration.batchLimit / 2 { return nil }
        guard
            let index = state.idle.lastIndex(where: { kind == .quick || $0.worker != quickWorker })
        else { return nil }
        let idle = state.idle.remove(at: index)
        if kind == .quick { state.onQuick.insert(idle.worker) }
        return idle.continuation
    }

    /// Takes the next reads for a connection. A connection without reads no longer counts as running quick reads.
    private func take(_ worker: Int) -> (items: [Item], kind: Kind) {
        state.withLock { state in
            let (items, kind) = state.queue.next(quickOnly: worker == quickWorker)
            state.work[worker].turns += 1
            state.work[worker].isBusy = !items.isEmpty
            if kind == .quick && !items.isEmpty {
                state.onQuick.insert(worker)
            } else {
                state.onQuick.remove(worker)
            }
            return (items, kind)
        }
    }

    /// The connection that runs only quick reads; nil if there is only one connection.
    private var quickWorker: Int? { configuration.connections > 1 ? 0 : nil }

    // MARK: running

    /// Runs until the task is cancelled. Reads that still wait then fail.
    ///
    /// - Parameters:
    ///   - onTurn: called often, while deadlines of reads are checked.
    ///   - onWork: called as often for each connection, with its number from 0.
    func run(
        onTurn: @escaping @Sendable () -> Void = {},
        onWork: @escaping @Sendable (Int, QueryService.Activity) -> Void = { _, _ in }
    ) async {
        await withTaskGroup(of: Void.self) { group in
            for worker in 0..<configuration.connections {
                let thread = PostgresThread()
                group.addTask(executorPreference: thread.taskExecutor) { await self.keepConnected(worker, on: thread) }
            }
            group.addTask { await self.expire(onTurn, onWork) }
        }
        for read in state.withLock({ $0.queue.removeAll() }) { read.fail(.cancelled) }
    }

    static let expiryInterval = Duration.milliseconds(50)

    /// Fails the reads whose deadline has passed, even if no connection makes progress.
    private func expire(
        _ onTurn: @Sendable () -> Void, _ onWork: @Sendable (Int, QueryService.Activity) -> Void
    ) async {
        var last: [UInt64] = Array(repeating: 0, count: configuration.connections)
        while !Task.isCancelled {
            try? await Task.sleep(for: Self.expiryInterval)
            let outcome: (expired: [PendingRead], woken: CheckedContinuation<Void, Never>?) = state.withLock { state in
                let expired = state.queue.removeExpired(at: .now)
                // A quick read that still waits has waited long: the connection that should take it is blocked.
                guard state.queue.hasQuick, let idle = state.idle.popLast() else { return (expired, nil) }
                state.onQuick.insert(idle.worker)
                return (expired, idle.continuation)
            }
            outcome.woken?.resume()
            for read in outcome.expired { read.fail(.overloaded) }
            // The connections themselves report nothing, because a report costs more than a quick read.
            for (worker, work) in state.withLock({ $0.work }).enumerated() {
                onWork(worker, !work.isBusy ? .idle : work.turns == last[worker] ? .busy : .moving)
                last[worker] = work.turns
            }
            onTurn()
        }
    }

    private func keepConnected(_ worker: Int, on thread: PostgresThread) async {
        var backoff = Backoff(initial: .milliseconds(50), ceiling: .seconds(2))
        while !Task.isCancelled {
            let connection: PostgresConnection
            do throws(PostgresError) {
                connection = try await PostgresConnection.connect(postgres, on: thread)
            } catch {
                noteAway(error)
                try? await Task.sleep(for: backoff.next())
                continue
            }
            backoff.reset()
            noteConnected()
            await withTaskCancellationHandler {
                await serve(on: connection, worker)
            } onCancel: {
                wakeCancelled(worker)
            }
            state.withLock { state in
                state.work[worker].isBusy = false
                state.connected -= 1
                state.onQuick.remove(worker)
            }
            await connection.close()
        }
    }

    private func wakeCancelled(_ worker: Int) {
        let waiting = state.withLock { state in
            state.idle.firstIndex { $0.worker == worker }.map { state.idle.remove(at: $0).continuation }
        }
        waiting?.resume()
    }

    private func noteConnected() {
        let wasAway = state.withLock { state in
            state.connected += 1
            defer { state.isAway = false }
            return state.isAway
        }
        if wasAway { logger.notice("the database answers again") }
    }

    private func noteAway(_ error: PostgresError) {
        if Task.isCancelled { return }
        let (wasAway, waiting) = state.withLock { state in
            defer { state.isAway = true }
            return (state.isAway, state.connected == 0 ? state.queue.removeAll() : [])
        }
        if !wasAway { logger.warning("the database does not answer", metadata: ["error": "\(error)"]) }
        for read in waiting { read.fail(.unavailable) }
    }

    // MARK: one connection; all of this runs on its own thread

    /// Takes reads and runs them until the connection breaks or the task is cancelled.
    private func serve(on connection: isolated PostgresConnection, _ worker: Int) async {
        let quickOnly = worker == quickWorker
        var wasIdle = true
        while !Task.isCancelled {
            let (items, kind) = take(worker)
            if items.isEmpty {
                await waitForWork(worker, quickOnly: quickOnly, on: connection)
                wasIdle = true
                continue
            }
            // The server may have closed the connection while it was idle. The reads must not fail because of that.
            if wasIdle, !connection.isAlive() { return putBack(items, kind) }
            wasIdle = false
            await run(items, kind, on: connection)
            if !connection.isOpen { return }
        }
    }

    /// Waits until there may be reads, or until ``wakeCancelled(_:)`` is called.
    private func waitForWork(_ worker: Int, quickOnly: Bool, on connection: isolated PostgresConnection) async {
        await withCheckedContinuation(isolation: connection) { continuation in
            let resumesAtOnce = state.withLock { state in
                if Task.isCancelled || (quickOnly ? state.queue.hasQuick : !state.queue.isEmpty) { return true }
                state.idle.append((worker, continuation))
                return false
            }
            if resumesAtOnce { continuation.resume() }
        }
    }

    private func putBack(_ items: [Item], _ kind: Kind) {
        let woken = state.withLock { state in
            for item in items.reversed() { state.queue.putBack(item, to: kind) }
            return wake(&state, for: kind)
        }
        woken?.resume()
    }

    private func run(
        _ items: [Item], _ kind: Kind, on connection: isolated PostgresConnection
    ) async {
        let batch = ReadBatch(items.lazy.map(\.entry))
        do throws(PostgresError) {
            let results = try await Self.exchange(batch.statements, configuration.statementTimeoutMs, on: connection)
            try batch.answer(with: results)
        } catch {
            if items.count == 1 { return await settle(items[0], error, kind, on: connection) }
            // The statements were one implicit transaction, so the failure of one failed all. Each read is now run
            // alone.
            if error.endsConnection { return items.forEach { retry($0, after: error, kind) } }
            for item in items {
                guard connection.isOpen else { return putBackRest(from: item.id, of: items, kind) }
                await run([item], kind, on: connection)
            }
        }
    }

    /// Runs the statements. The cancellation of a client does not end a round trip that other reads share. Only the
    /// cancellation of the service does.
    private static func exchange(
        _ statements: Statements, _ timeoutMs: Int, on connection: isolated PostgresConnection
    ) async throws(PostgresError) -> [QueryResult] {
        if statements.count == 1 {
            return [try await connection.execute(statements[0].0, statements[0].1, timeoutMs: timeoutMs)]
        }
        return try await connection.pipeline(statements, timeoutMs: timeoutMs)
    }

    /// Fails or repeats a read that has failed alone.
    private func settle(
        _ item: Item, _ error: PostgresError, _ kind: Kind,
        on connection: isolated PostgresConnection
    ) async {
        if error.comesOfReplacedView && item.attempts == 0 {
            var again = item
            again.attempts += 1
            return await run([again], kind, on: connection)
        }
        retry(item, after: error, kind)
    }

    /// Runs a read once more on another connection if its connection broke. This is safe because reads change nothing.
    private func retry(_ item: Item, after error: PostgresError, _ kind: Kind) {
        guard error.endsConnection, item.attempts == 0 else {
            return item.entry.fail(ReadError(error))
        }
        var again = item
        again.attempts += 1
        putBack([again], kind)
    }

    private func putBackRest(from id: UInt64, of items: [Item], _ kind: Kind) {
        putBack(Array(items.drop { $0.id != id }), kind)
    }
}

internal import Blocking

/// A session with a PostgreSQL server, on its own thread or on a given one.
///
/// Statements run one after another. While a transaction is open, the connection accepts only statements of that
/// transaction.
public actor PostgresConnection {
    private let thread: PostgresThread
    /// Interrupts the thread's wait, so that it checks for cancellation.
    nonisolated let wakeup: Wakeup
    /// The session's waits for its server.
    public nonisolated let serverWaits: ServerWaits
    private var link: ServerLink
    private var prepared = PreparedStatements()
    private var transaction: OpenTransaction?
    private var lastTransactionID: UInt64 = 0
    /// Whether the session must not use a server that refuses writes.
    private var needsWrites = false

    private struct OpenTransaction {
        let id: UInt64
        /// The BEGIN statement, until it has been sent with the first statement.
        var pendingBegin: String?
        /// Statements that are sent with the next round trip.
        var queued: [QueuedStatement] = []
        /// The channels that are notified after COMMIT, in the same round trip.
        var channels: Set<String> = []
        /// The first error inside the transaction. It explains a COMMIT that the server answers with ROLLBACK.
        var firstError: PostgresError?
    }

    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe thread.unownedExecutor
    }

    private init(on thread: PostgresThread) throws(PostgresError) {
        self.thread = thread
        link = try ServerLink()
        wakeup = link.wakeup
        serverWaits = link.waits
    }

    /// Connects and sets up the session.
    ///
    /// - Parameter thread: the thread that the session blocks while it waits for the server. By default a new one.
    /// - Throws: ``PostgresError/Code-swift.enum/cannotConnect``, with the server's SQLSTATE if the server answered.
    public static func connect(
        _ configuration: PostgresConfiguration, on thread: PostgresThread = PostgresThread()
    ) async throws(PostgresError) -> PostgresConnection {
        let connection = try PostgresConnection(on: thread)
        try await connection.open(configuration)
        return connection
    }

    /// Connects, runs `body` with the session, and ends the session however `body` ends.
    ///
    /// - Throws: what ``connect(_:on:)`` and `body` throw.
    public static func with<Result>(
        _ configuration: PostgresConfiguration, _ body: (PostgresConnection) async throws -> Result
    ) async throws -> Result {
        let connection = try await connect(configuration)
        do {
            let result = try await body(connection)
            await connection.close()
            return result
        } catch {
            await connection.close()
            throw error
        }
    }

    private func open(_ configuration: PostgresConfiguration) async throws(PostgresError) {
        needsWrites = configuration.needsWrites
        try await interruptible { (self) throws(PostgresError) in try self.link.open(configuration) }
    }

    /// Ends the session. The server rolls back an open transaction.
    public func close() {
        transaction = nil
        prepared.removeAll()
        link.close()
    }

    /// Whether the session is usable, as far as the client knows. Does not ask the server.
    public var isOpen: Bool { link.isOpen }

    /// Why the session is unusable; nil while it is usable.
    public var lossReason: PostgresError? { link.isOpen ? nil : link.closedError }

    /// The process id of the server process of this session; 0 if the session is closed.
    public var serverProcessID: Int32 { link.serverProcessID }

    // MARK: statements

    /// Runs one statement.
    ///
    /// - Parameter timeoutMs: the maximum time before the statement is cancelled at the server, in milliseconds; nil if
    ///   only the session's `statement_timeout` applies. Cancelling the task cancels the statement at once. The session
    ///   stays usable in both cases.
    /// - Throws: ``PostgresError``. The session is then in the state that PostgreSQL defines for a failed statement.
    @discardableResult
    public func execute(
        _ statement: Statement, _ parameters: Parameters = Parameters(), timeoutMs: Int? = nil
    ) async throws(PostgresError) -> QueryResult {
        try await run([(statement, parameters)], in: nil, timeoutMs: timeoutMs)[0]
    }

    /// Runs statements in one round trip and returns their results in order. Outside a transaction they form one
    /// implicit transaction: if one fails, the server undoes the earlier ones and does not run the later ones.
    public func pipeline(
        _ statements: [(Statement, Parameters)], timeoutMs: Int? = nil
    ) async throws(PostgresError) -> [QueryResult] {
        try await run(statements, in: nil, timeoutMs: timeoutMs)
    }

    /// Runs a text of any number of statements. It has no parameters and returns no results.
    public func execute(script: String, timeoutMs: Int? = nil) async throws(PostgresError) {
        try await runScript(script, in: nil, timeoutMs: timeoutMs)
    }

    func runScript(_ script: String, in id: UInt64?, timeoutMs: Int?) async throws(PostgresError) {
        try await interruptible { (self) throws(PostgresError) in
            try self.checkTransaction(id)
            _ = try self.exchangeWithQueued([], .init(timeoutMs: timeoutMs))
            if let begin = self.transaction?.pendingBegin {
                _ = try self.link.runScript(begin, .init(timeoutMs: timeoutMs))
                self.noteBegun()
            }
            _ = try self.inTransaction { (link) throws(PostgresError) in
                try link.runScript(script, .init(timeoutMs: timeoutMs))
            }
        }
    }

    func run(
        _ statements: [(Statement, Parameters)], in id: UInt64?, timeoutMs: Int?
    ) async throws(PostgresError) -> [QueryResult] {
        try await interruptible { (self) throws(PostgresError) in
            try self.checkTransaction(id)
            return try self.exchangeWithQueued(statements, .init(timeoutMs: timeoutMs))
        }
    }

    /// Runs `body`. Cancelling the task interrupts the waits in it.
    private func interruptible<Result>(
        _ body: (isolated PostgresConnection) throws(PostgresError) -> Result
    ) async throws(PostgresError) -> Result {
        let outcome: Swift.Result<Result, PostgresError> = await withTaskCancellationHandler {
            do throws(PostgresError) {
                return .success(try body(self))
            } catch {
                return .failure(error)
            }
        } onCancel: {
            wakeup.signal()
        }
        return try outcome.get()
    }

    /// Runs the queued statements and `statements` in one round trip, and returns the results of `statements`.
    private func exchangeWithQueued(
        _ statements: [(Statement, Parameters)], following: [Command] = [], _ limits: ExchangeLimits
    ) throws(PostgresError) -> [QueryResult] {
        let queued = transaction?.queued ?? []
        if queued.isEmpty { return statements.isEmpty ? [] : try exchange(statements, following: following, limits) }
        do throws(PostgresError) {
            let results = try exchange(
                queued.map { ($0.statement, $0.parameters) } + statements, following: following, limits)
            transaction?.queued = []
            return Array(results.dropFirst(queued.count))
        } catch {
            // Statements that were cancelled before they were sent stay queued; they must still run before COMMIT.
            if !error.isOfUnsent {
                transaction?.queued = []
                for statement in queued { statement.onFailure() }
            }
            throw error
        }
    }

    private func exchange(
        _ statements: [(Statement, Parameters)], following: [Command], _ limits: ExchangeLimits
    ) throws(PostgresError) -> [QueryResult] {
        if !prepared.hasRoom(for: statements.count) {
            prepared.removeAll()
            _ = try inTransaction { (link) throws(PostgresError) in try link.runScript("DEALLOCATE ALL", limits) }
        }
        var commands: [Command] = []
        commands.reserveCapacity(statements.count + 2)
        if let begin = transaction?.pendingBegin {
            commands.append(Command(.unprepared(begin), sql: begin, isAnswer: false))
        }
        for (statement, parameters) in statements {
            guard statement.isPrepared else {
                commands.append(Command(.unprepared(statement.sql), sql: statement.sql, parameters: parameters))
                continue
            }
            let entry = prepared.entry(for: statement, types: parameters.types)
            if entry.isNew {
                commands.append(
                    Command(.prepare(entry.name, parameters.types), sql: statement.sql, isAnswer: false))
            }
            commands.append(Command(.prepared(entry.name), sql: statement.sql, parameters: parameters))
        }
        defer { noteBegun() }
        do throws(PostgresError) {
            let results = try inTransaction { (link) throws(PostgresError) in
                try link.run(commands, following: following, limits)
            }
            prepared.confirm(link.newlyPrepared)
            return results
        } catch {
            prepared.confirm(link.newlyPrepared)
            prepared.forgetOutdated(after: error)
            throw error
        }
    }

    private func inTransaction<Result>(
        _ body: (inout ServerLink) throws(PostgresError) -> Result
    ) throws(PostgresError) -> Result {
        do throws(PostgresError) {
            return try body(&link)
        } catch var error {
            // The server became a standby or was set to read-only. The primary may now be another server.
            if needsWrites && error.sqlState == .readOnlyTransaction && link.isOpen { error = link.giveUp(error) }
            if transaction != nil && transaction?.firstError == nil { transaction?.firstError = error }
            if !link.isOpen { prepared.removeAll() }
            throw error
        }
    }

    /// Forgets the pending BEGIN if the server is now in a transaction. It is not if the statement that BEGIN goes with
    /// was cancelled before it was sent.
    private func noteBegun() {
        if transaction != nil && link.isOpen && !link.isIdleOutsideTransaction { transaction?.pendingBegin = nil }
    }

    private func checkTransaction(_ id: UInt64?) throws(PostgresError) {
        guard transaction?.id != id else { return }
        throw PostgresError(
            .usage,
            id == nil
                ? "a transaction is open on this connection; run statements in the transaction"
                : "the transaction has ended")
    }

    // MARK: transactions, for PostgresTransaction

    func begin(_ level: IsolationLevel) throws(PostgresError) -> UInt64 {
        guard link.isOpen else { throw link.closedError }
        try checkTransaction(nil)
        lastTransactionID += 1
        transaction = OpenTransaction(id: lastTransactionID, pendingBegin: level.begin)
        return lastTransactionID
    }

    /// - Throws: ``TransactionError``, or the `PostgresError` of a queued statement after a rollback.
    func commit(_ id: UInt64) async throws {
        guard let open = transaction, open.id == id else {
            throw TransactionError.rolledBack(PostgresError(.usage, "the transaction has ended"))
        }
        guard open.pendingBegin == nil || !open.queued.isEmpty else {
            transaction = nil
            return
        }
        guard link.isOpen else {
            transaction = nil
            throw TransactionError.rolledBack(link.closedError)
        }
        let tag: String
        do {
            tag =
                open.queued.isEmpty && open.channels.isEmpty
                ? try link.runScript("COMMIT", .uninterrupted) : try await commitWithQueued(open)
            transaction = nil
        } catch {
            transaction = nil
            guard link.isOpen else {
                prepared.removeAll()
                throw TransactionError.unknownOutcome(error)
            }
            // Only a COMMIT that itself failed leaves no transaction open.
            if link.isIdleOutsideTransaction { throw TransactionError.rolledBack(error) }
            makeIdle()
            throw error
        }
        if tag != "COMMIT" {
            throw TransactionError.rolledBack(open.firstError ?? PostgresError(.server, "COMMIT answered \(tag)"))
        }
    }

    private func commitWithQueued(_ open: OpenTransaction) async throws(PostgresError) -> String {
        let notifications = open.channels.sorted().map { channel in
            let sql = "NOTIFY \(SQLIdentifier.quoted(channel))"
            return Command(.unprepared(sql), sql: sql, isAnswer: false)
        }
        let commit: [(Statement, Parameters)] = [(.unprepared("COMMIT"), Parameters())]
        // COMMIT is not interrupted: a cancelled task must not leave a transaction that lacks only COMMIT.
        if open.queued.isEmpty {
            return try exchange(commit, following: notifications, .uninterrupted)[0].commandTag
        }
        return try await interruptible { (self) throws(PostgresError) in
            try self.exchangeWithQueued(commit, following: notifications, .init(timeoutMs: nil))[0].commandTag
        }
    }

    func enqueue(_ statement: QueuedStatement, in id: UInt64) throws(PostgresError) {
        try checkTransaction(id)
        transaction?.queued.append(statement)
    }

    func notify(_ channel: String, in id: UInt64) throws(PostgresError) {
        try checkTransaction(id)
        transaction?.channels.insert(channel)
    }

    func rollBack(_ id: UInt64) {
        guard let open = transaction, open.id == id else { return }
        transaction = nil
        guard open.pendingBegin == nil, link.isOpen else { return }
        makeIdle()
    }

    /// Rolls back to the savepoint, even if the task is cancelled. Otherwise the caller could neither continue nor roll
    /// back.
    func undoSavepoint(in id: UInt64) throws(PostgresError) {
        try checkTransaction(id)
        transaction?.queued = []
        _ = try link.runScript("ROLLBACK TO SAVEPOINT millrace; RELEASE SAVEPOINT millrace", .uninterrupted)
    }

    private func makeIdle() {
        do {
            _ = try link.runScript("ROLLBACK", .init(timeoutMs: 5_000, isInterruptible: false))
        } catch {
            close()
        }
    }

    // MARK: for listeners

    /// Blocks this session's thread until another session notifies a channel that this session listens to.
    func waitForNotifications(
        isStopped: @Sendable () -> Bool
    ) async throws(PostgresError) -> [PostgresNotification] {
        try await interruptible { (self) throws(PostgresError) in
            try self.link.waitForNotifications(isStopped: isStopped)
        }
    }

    /// Passes notifications on until it is stopped or the task is cancelled, and ends the session then.
    func passNotifications(
        to body: @Sendable ([PostgresNotification]) -> Void, isStopped: @Sendable () -> Bool
    ) async throws(PostgresError) {
        while true {
            let arrived = try await waitForNotifications(isStopped: isStopped)
            if arrived.isEmpty { return close() }
            body(arrived)
        }
    }

    /// Whether the connection seems open, judged by its socket. Sends nothing to the server.
    public func isAlive() -> Bool {
        link.checkAlive()
    }
}

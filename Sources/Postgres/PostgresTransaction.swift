public import StreamCore

/// What a transaction sees of others (PostgreSQL's manual, "Transaction Isolation").
public enum IsolationLevel: Sendable, Hashable {
    case readCommitted
    case repeatableRead
    case serializable

    var begin: String {
        switch self {
        case .readCommitted: "BEGIN ISOLATION LEVEL READ COMMITTED"
        case .repeatableRead: "BEGIN ISOLATION LEVEL REPEATABLE READ"
        case .serializable: "BEGIN ISOLATION LEVEL SERIALIZABLE"
        }
    }
}

/// How a transaction that was to be committed ended otherwise.
public enum TransactionError: Error, Sendable, Hashable {
    /// COMMIT did not commit: it failed (a deferred constraint, a serialization failure), or it answered `ROLLBACK`
    /// because a statement before it had failed and the error was swallowed. Nothing was changed.
    case rolledBack(PostgresError)
    /// The connection was lost in COMMIT: the changes are there or not. Read back what they would have made.
    case unknownOutcome(PostgresError)

    /// What the server or the connection said.
    public var cause: PostgresError {
        switch self {
        case .rolledBack(let cause), .unknownOutcome(let cause): cause
        }
    }

    /// What the failure means for the work that met it.
    public var kind: FailureKind {
        switch self {
        case .rolledBack(let cause): cause.kind
        case .unknownOutcome: .transient
        }
    }
}

extension TransactionError: RemediableError {
    public var remedy: Remedy { kind == .everything ? .changeSetup : .startAgain }
}

extension TransactionError: CustomStringConvertible, CustomDebugStringConvertible {
    public var description: String {
        switch self {
        case .rolledBack(let cause): "the transaction was rolled back: \(cause)"
        case .unknownOutcome(let cause): "it is unknown whether the transaction committed: \(cause)"
        }
    }

    public var debugDescription: String { "\(description) \(cause.debugDescription)" }
}

/// A statement that waits for the next round trip of its transaction.
struct QueuedStatement: Sendable {
    let statement: Statement
    let parameters: Parameters
    let onFailure: @Sendable () -> Void
}

/// A transaction that is open: runs statements until ``PostgresConnection/withTransaction(isolation:_:)`` ends it.
public struct PostgresTransaction: Sendable {
    let connection: PostgresConnection
    let id: UInt64

    /// Runs one statement. The first one takes BEGIN along in the same round trip.
    ///
    /// - Parameter timeoutMs: milliseconds until it is cancelled; nil for the session's `statement_timeout` alone.
    /// - Throws: ``PostgresError``; afterwards PostgreSQL refuses all but the end of the transaction or of the
    ///   savepoint.
    @discardableResult
    public func execute(
        _ statement: Statement, _ parameters: Parameters = Parameters(), timeoutMs: Int? = nil
    ) async throws(PostgresError) -> QueryResult {
        try await connection.run([(statement, parameters)], in: id, timeoutMs: timeoutMs)[0]
    }

    /// Runs statements in one round trip and answers their results in order; those after the first that fails are not
    /// run.
    public func pipeline(
        _ statements: [(Statement, Parameters)], timeoutMs: Int? = nil
    ) async throws(PostgresError) -> [QueryResult] {
        try await connection.run(statements, in: id, timeoutMs: timeoutMs)
    }

    /// Runs a statement, whose result nobody needs, with whatever this transaction sends next: the last one of a
    /// transaction so shares COMMIT's round trip.
    ///
    /// When it fails, what it is sent with fails with its error; with COMMIT,
    /// ``PostgresConnection/withTransaction(isolation:_:)`` throws that error, after a rollback.
    ///
    /// - Parameter onFailure: called when it was sent, and it or what was sent with it failed.
    /// - Throws: ``PostgresError`` when the transaction is over.
    public func enqueue(
        _ statement: Statement, _ parameters: Parameters = Parameters(),
        onFailure: @escaping @Sendable () -> Void = {}
    ) async throws(PostgresError) {
        let queued = QueuedStatement(statement: statement, parameters: parameters, onFailure: onFailure)
        try await connection.enqueue(queued, in: id)
    }

    /// Sends what is queued, and waits for it.
    public func flush(timeoutMs: Int? = nil) async throws(PostgresError) {
        _ = try await connection.run([], in: id, timeoutMs: timeoutMs)
    }

    /// Runs a text of any number of statements, without parameters and results.
    public func execute(script: String, timeoutMs: Int? = nil) async throws(PostgresError) {
        try await connection.runScript(script, in: id, timeoutMs: timeoutMs)
    }

    /// Runs `body` so that its failure undoes only what it did itself; the transaction can go on.
    @discardableResult
    public func withSavepoint<Result>(_ body: () async throws -> Result) async throws -> Result {
        try await execute(.unprepared("SAVEPOINT millrace"))
        let result: Result
        do {
            result = try await body()
            // When something fails that was queued, it fails here.
            try await execute(.unprepared("RELEASE SAVEPOINT millrace"))
        } catch {
            try await undoSavepoint()
            throw error
        }
        return result
    }

    private func undoSavepoint() async throws(PostgresError) {
        try await connection.undoSavepoint(in: id)
    }
}

extension PostgresConnection {
    /// Runs `body` in a transaction, and commits it.
    ///
    /// - Throws: what `body` throws, or what a statement met that it left queued, after a rollback;
    ///   ``TransactionError`` when the end is not a commit.
    @discardableResult
    public nonisolated func withTransaction<Result>(
        isolation level: IsolationLevel = .readCommitted,
        _ body: (PostgresTransaction) async throws -> Result
    ) async throws -> Result {
        let id = try await begin(level)
        let result: Result
        do {
            result = try await body(PostgresTransaction(connection: self, id: id))
        } catch {
            await rollBack(id)
            throw error
        }
        try await commit(id)
        return result
    }
}

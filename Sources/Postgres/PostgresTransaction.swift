public import StreamCore

/// What a transaction sees of other transactions (PostgreSQL's manual, "Transaction Isolation").
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

/// Why a COMMIT did not end in a known commit.
public enum TransactionError: Error, Sendable, Hashable {
    /// COMMIT did not commit. Either it failed (a deferred constraint, a serialization failure), or the server answered
    /// `ROLLBACK` because an earlier statement had failed and the caller had ignored the error. Nothing was changed.
    case rolledBack(PostgresError)
    /// The connection was lost during COMMIT. The changes may or may not be there, so the caller has to read them back.
    case unknownOutcome(PostgresError)

    /// The error of the server or the connection.
    public var cause: PostgresError {
        switch self {
        case .rolledBack(let cause), .unknownOutcome(let cause): cause
        }
    }

    /// What the failure means for the work that caused it.
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

/// An open transaction. It runs statements until ``PostgresConnection/withTransaction(isolation:_:)`` ends it.
public struct PostgresTransaction: Sendable {
    let connection: PostgresConnection
    let id: UInt64

    /// Runs one statement. The first statement of a transaction takes BEGIN along in the same round trip.
    ///
    /// - Parameter timeoutMs: the maximum time before the statement is cancelled, in milliseconds; nil if only the
    ///   session's `statement_timeout` applies.
    /// - Throws: ``PostgresError``. PostgreSQL then refuses every statement until the transaction or the savepoint
    ///   ends.
    @discardableResult
    public func execute(
        _ statement: Statement, _ parameters: Parameters = Parameters(), timeoutMs: Int? = nil
    ) async throws(PostgresError) -> QueryResult {
        try await connection.run([(statement, parameters)], in: id, timeoutMs: timeoutMs)[0]
    }

    /// Runs statements in one round trip and returns their results in order. If one fails, the server does not run the
    /// later ones.
    public func pipeline(
        _ statements: [(Statement, Parameters)], timeoutMs: Int? = nil
    ) async throws(PostgresError) -> [QueryResult] {
        try await connection.run(statements, in: id, timeoutMs: timeoutMs)
    }

    /// Queues a statement whose result is not needed. It is sent with the next statement of this transaction, so the
    /// last statement of a transaction shares the round trip of COMMIT.
    ///
    /// If the queued statement fails, the statement that it is sent with fails with the same error. If it is sent with
    /// COMMIT, ``PostgresConnection/withTransaction(isolation:_:)`` throws that error after a rollback.
    ///
    /// - Parameter onFailure: called if the statement was sent, and it or a statement that was sent with it failed.
    /// - Throws: ``PostgresError`` if the transaction has ended.
    public func enqueue(
        _ statement: Statement, _ parameters: Parameters = Parameters(),
        onFailure: @escaping @Sendable () -> Void = {}
    ) async throws(PostgresError) {
        let queued = QueuedStatement(statement: statement, parameters: parameters, onFailure: onFailure)
        try await connection.enqueue(queued, in: id)
    }

    /// Notifies a channel after the transaction has committed. NOTIFY is sent after COMMIT, in the same round trip.
    ///
    /// A NOTIFY inside a transaction takes a lock that all such transactions of the server share, and keeps it while
    /// COMMIT waits for the disk. So these transactions commit one after the other. After COMMIT, NOTIFY waits for
    /// nothing. The disadvantage is that a notification is lost if the session ends between the two, so the receiver
    /// must also poll from time to time. A transaction that is rolled back may notify too.
    ///
    /// - Throws: ``PostgresError`` if the transaction has ended.
    public func notify(_ channel: String) async throws(PostgresError) {
        try await connection.notify(channel, in: id)
    }

    /// Sends the queued statements and waits for their results.
    public func flush(timeoutMs: Int? = nil) async throws(PostgresError) {
        _ = try await connection.run([], in: id, timeoutMs: timeoutMs)
    }

    /// Runs a text of any number of statements. It has no parameters and returns no results.
    public func execute(script: String, timeoutMs: Int? = nil) async throws(PostgresError) {
        try await connection.runScript(script, in: id, timeoutMs: timeoutMs)
    }

    /// Runs `body` in a savepoint. If `body` throws, only its own changes are undone, and the transaction can continue.
    @discardableResult
    public func withSavepoint<Result>(_ body: () async throws -> Result) async throws -> Result {
        try await execute(.unprepared("SAVEPOINT millrace"))
        let result: Result
        do {
            result = try await body()
            // A queued statement that fails must fail here, inside the savepoint.
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
    /// Runs `body` in a transaction and commits it.
    ///
    /// - Throws: the error of `body` or of a statement that it left queued, after a rollback; ``TransactionError`` if
    ///   the transaction was not committed or its outcome is unknown.
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

public import StreamCore

/// An error of the client, the connection or the server.
///
/// `description` is safe to log: it contains the server's primary message, but neither parameters nor the server's
/// detail, which quotes data. `debugDescription` contains everything but the parameters.
public struct PostgresError: Error, Sendable, Hashable {
    /// The kind of failure.
    public enum Code: Sendable, Hashable {
        /// A setting cannot be read or is not valid.
        case configuration
        /// No connection could be made. ``PostgresError/sqlState`` says why if the server answered.
        case cannotConnect
        /// The connection broke, or the server ended it. The outcome of the last statement is unknown.
        case connectionLost
        /// This side closed the connection.
        case connectionClosed
        /// The server refused a statement; ``PostgresError/sqlState`` says why.
        case server
        /// The deadline passed, and the statement was cancelled.
        case deadlineExceeded
        /// The task was cancelled, and with it the statement.
        case cancelled
        /// A value in a result is NULL, has another type, or is outside the range of the requested type.
        case decoding
        /// PostgreSQL's format cannot express a value.
        case encoding
        /// The caller broke a rule of this client.
        case usage
    }

    /// The kind of failure.
    public let code: Code
    /// The server's SQLSTATE, if it sent one.
    public let sqlState: SQLState?
    /// The primary message. It contains no user data except what the server puts into it.
    public let message: String
    /// The server's detail. It may quote data.
    public var detail: String?
    /// The server's hint.
    public var hint: String?
    /// The schema, table, column and constraint that the server names.
    public var schema: String?
    public var table: String?
    public var column: String?
    public var constraint: String?
    /// The SQL that failed.
    public var sql: String?
    /// The position of the error in the SQL, in characters from 1, if the server sent it.
    public var position: Int?
    /// For a script: the number of its statements that ran before the one that failed. It is 0 as well if the server
    /// could not parse the script. nil for everything else.
    public var completedStatements: Int?
    /// The place in this client's source that raised the error.
    public let file: String
    public let line: Int

    public init(
        _ code: Code, _ message: String, sqlState: SQLState? = nil, file: String = #fileID, line: Int = #line
    ) {
        self.code = code
        self.message = message
        self.sqlState = sqlState
        self.file = file
        self.line = line
    }

    /// What the failure means for the work that caused it.
    public var kind: FailureKind {
        switch code {
        case .configuration, .usage: .everything
        case .cannotConnect: sqlState?.kind ?? .transient
        case .connectionLost, .connectionClosed, .cancelled, .deadlineExceeded: .transient
        case .server: sqlState?.kind ?? .everything
        case .encoding: .permanent
        case .decoding: .everything
        }
    }

    /// Whether a single row can be the cause although all other rows pass; see ``SQLState/mayConcernOneRow``. False for
    /// errors of the connection and of the client's use.
    public var mayConcernOneRow: Bool {
        switch code {
        case .server: sqlState?.mayConcernOneRow ?? false
        case .deadlineExceeded, .encoding: true
        case .configuration, .cannotConnect, .connectionLost, .connectionClosed, .cancelled, .decoding, .usage: false
        }
    }

    /// Whether the connection that threw this error is gone.
    public var endsConnection: Bool {
        code == .connectionLost || code == .connectionClosed || code == .cannotConnect
    }

    /// Whether the server or the client cancelled a statement because it took too long. The connection stays usable.
    public var isStatementTimeout: Bool {
        code == .deadlineExceeded || code == .server && sqlState == .queryCanceled
    }
}

extension PostgresError: CustomStringConvertible {
    /// Code, SQLSTATE, primary message and constraint. Contains no data.
    public var description: String {
        var text = "PostgreSQL: \(code)"
        if let sqlState { text += " \(sqlState)" }
        text += ": \(message)"
        if let constraint { text += " (constraint \(constraint))" }
        return text
    }
}

extension PostgresError: CustomDebugStringConvertible {
    /// All fields, including the server's detail, which may quote data.
    public var debugDescription: String {
        var text = description
        let parts = [
            ("detail", detail), ("hint", hint), ("schema", schema), ("table", table), ("column", column), ("sql", sql),
        ]
        for (name, value) in parts {
            if let value { text += "; \(name): \(value)" }
        }
        return text + " [\(file):\(line)]"
    }
}

extension String {
    /// The text as one line. libpq's messages have several lines and end with a line break.
    var trimmedLine: String {
        var text = Substring(self)
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return text.split(whereSeparator: \.isNewline).joined(separator: " | ")
    }
}

extension PostgresError: RemediableError {
    public var remedy: Remedy { kind == .everything ? .changeSetup : .startAgain }
}

public import StreamCore

/// What went wrong between us and PostgreSQL.
///
/// `description` is safe to log: it holds the server's primary message but neither its detail, which quotes data, nor
/// parameters. `debugDescription` shows all.
public struct PostgresError: Error, Sendable, Hashable {
    /// What kind of thing failed.
    public enum Code: Sendable, Hashable {
        /// A setting cannot be read or makes no sense.
        case configuration
        /// No connection could be made. ``PostgresError/sqlState`` says why if the server answered.
        case cannotConnect
        /// The connection broke, or the server ended it. What the last statement did is not known.
        case connectionLost
        /// The connection was closed by us.
        case connectionClosed
        /// The server refused a statement; ``PostgresError/sqlState`` says why.
        case server
        /// The deadline passed and the statement was cancelled.
        case deadlineExceeded
        /// The task was cancelled, and the statement with it.
        case cancelled
        /// A result's value is NULL, of another type, or out of the asked type's range.
        case decoding
        /// A value cannot be expressed in PostgreSQL's format.
        case encoding
        /// The client was used against its rules.
        case usage
    }

    /// What kind of thing failed.
    public let code: Code
    /// The server's SQLSTATE, where it gave one.
    public let sqlState: SQLState?
    /// The primary message, without data of the user's except what the server puts there.
    public let message: String
    /// The server's detail: may quote data.
    public var detail: String?
    /// The server's hint.
    public var hint: String?
    /// Schema, table, column and constraint that the server names.
    public var schema: String?
    public var table: String?
    public var column: String?
    public var constraint: String?
    /// The SQL that failed.
    public var sql: String?
    /// Where in the SQL, in characters from 1, when the server says it.
    public var position: Int?
    /// Where in our source it was raised.
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

    /// What the failure means for the work that met it.
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

    /// Whether one row can be the reason although all others pass; see ``SQLState/mayConcernOneRow``. True only of what
    /// the server answered to a statement.
    public var mayConcernOneRow: Bool {
        switch code {
        case .server: sqlState?.mayConcernOneRow ?? false
        case .deadlineExceeded, .encoding: true
        case .configuration, .cannotConnect, .connectionLost, .connectionClosed, .cancelled, .decoding, .usage: false
        }
    }

    /// Whether the connection that threw this is gone.
    public var endsConnection: Bool {
        code == .connectionLost || code == .connectionClosed || code == .cannotConnect
    }

    /// Whether the server or the client gave a statement up for the time it took; the connection is of use as before.
    public var isStatementTimeout: Bool {
        code == .deadlineExceeded || code == .server && sqlState == .queryCanceled
    }
}

extension PostgresError: CustomStringConvertible {
    /// Code, SQLSTATE, primary message and names; no data.
    public var description: String {
        var text = "PostgreSQL: \(code)"
        if let sqlState { text += " \(sqlState)" }
        text += ": \(message)"
        if let constraint { text += " (constraint \(constraint))" }
        return text
    }
}

extension PostgresError: CustomDebugStringConvertible {
    /// All of it, data in the server's detail included.
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
    /// libpq's messages are lines; ours are not.
    var trimmedLine: String {
        var text = Substring(self)
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return text.split(whereSeparator: \.isNewline).joined(separator: " | ")
    }
}

extension PostgresError: RemediableError {
    public var remedy: Remedy { kind == .everything ? .changeSetup : .startAgain }
}

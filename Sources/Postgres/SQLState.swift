public import StreamCore

/// PostgreSQL's code of an error, with five characters (Appendix A of its manual).
public struct SQLState: Sendable, Hashable, CustomStringConvertible {
    /// The five characters.
    public let code: String

    public init(_ code: String) {
        self.code = code
    }

    public var description: String { code }

    /// The first two characters, which identify the class of the error.
    public var errorClass: Substring { code.prefix(2) }

    /// 23505: the key exists already.
    public static let uniqueViolation = SQLState("23505")
    /// 23503: the referenced row does not exist.
    public static let foreignKeyViolation = SQLState("23503")
    /// 40001: the transaction cannot be serialized with concurrent ones.
    public static let serializationFailure = SQLState("40001")
    /// 40P01: transactions wait for each other.
    public static let deadlockDetected = SQLState("40P01")
    /// 55P03: the lock was not available in time.
    public static let lockNotAvailable = SQLState("55P03")
    /// 57014: the statement was cancelled.
    public static let queryCanceled = SQLState("57014")
    /// 57P01: an administrator ends the session or stops the server.
    public static let adminShutdown = SQLState("57P01")
    /// 57P03: the server is starting, stopping or recovering.
    public static let cannotConnectNow = SQLState("57P03")
    /// 25006: the server or the session is read-only.
    public static let readOnlyTransaction = SQLState("25006")
    /// 42501: the role lacks a privilege.
    public static let insufficientPrivilege = SQLState("42501")
    /// 42P01: the table does not exist.
    public static let undefinedTable = SQLState("42P01")
    /// 26000: no statement is prepared under this name.
    public static let invalidStatementName = SQLState("26000")
    /// 0A000: the feature is not supported. Also: the result type of a prepared statement has changed.
    public static let featureNotSupported = SQLState("0A000")
}

// MARK: - What an error means

extension SQLState {
    /// What the error means for the work that caused it. No other place decides this.
    ///
    /// - *transient*: 08 (the connection; another one may work), 25 (invalid transaction state, including a read-only
    ///   server; a new transaction or a failover helps), 40 (serialization failure, deadlock; a retry may succeed), 53
    ///   (out of disk, memory or connections), 55P03 and 55006 (locked, in use), 57 (`statement_timeout` or a person
    ///   cancelled it; the server is starting, stopping or recovering), 58 (the operating system), 72 (snapshot too
    ///   old), 26000 (the prepared statement is gone and will be prepared again), HV00N (a foreign server does not
    ///   answer).
    /// - *everything*: 42 (wrong SQL, a missing table or privilege), 3F and 3D (no such schema or database, and for the
    ///   same reason 57P04), 28 (the login), 0L, 0P and 2B (roles and grants), F0 (the server's configuration). No
    ///   event can succeed until a person changes something.
    /// - *permanent* for the event: all others. 20 and P0 (a trigger or function refuses it), 21 (the statement names a
    ///   row twice; the event alone may succeed), 22 and 54 (its values do not fit), 23, 27, 40002 and 44 (it violates
    ///   a constraint or a view's rule), 0A and XX (PostgreSQL cannot do this with the row, or has a bug), and every
    ///   unknown class. Code that applies many events finds out which of them fail. It should stop if many fail in a
    ///   row.
    public var kind: FailureKind {
        switch code {
        case "40002": return .permanent
        case "55P03", "55006", "HV00N": return .transient
        case "57P04": return .everything  // the database was dropped
        default: break
        }
        switch errorClass {
        case "08", "25", "26", "40", "53", "57", "58", "72": return .transient
        case "0L", "0P", "28", "2B", "3D", "3F", "42", "F0": return .everything
        default: return .permanent
        }
    }

    /// Whether the cause may be a statement that was prepared before a table changed (0A000: its result has another
    /// type) or that no longer exists (26000). The connection prepares it again, so a retry may succeed at once.
    public var mayBeOutdatedStatement: Bool { self == .featureNotSupported || self == .invalidStatementName }

    /// Whether a single row can be the cause although all other rows pass: a trigger raises the error for it, another
    /// session has locked it, or processing it takes too long or too much memory. False for errors that depend on the
    /// server's state rather than on rows: sessions, disks, a server that stops.
    public var mayConcernOneRow: Bool {
        switch code {
        case "57014", "53200": return true
        default: break
        }
        switch errorClass {
        case "25", "26", "53", "57", "58", "72", "F0": return false
        default: return true
        }
    }
}

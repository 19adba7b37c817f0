public import StreamCore

/// The five characters by which PostgreSQL names an error (Appendix A of its manual).
public struct SQLState: Sendable, Hashable, CustomStringConvertible {
    /// The five characters.
    public let code: String

    public init(_ code: String) {
        self.code = code
    }

    public var description: String { code }

    /// The first two characters, which name a class of errors.
    public var errorClass: Substring { code.prefix(2) }

    /// 23505: there is such a key already.
    public static let uniqueViolation = SQLState("23505")
    /// 23503: the row that a key names is not there.
    public static let foreignKeyViolation = SQLState("23503")
    /// 40001: the transaction cannot be put in order with the others.
    public static let serializationFailure = SQLState("40001")
    /// 40P01: transactions wait for each other.
    public static let deadlockDetected = SQLState("40P01")
    /// 55P03: the lock was not had in time.
    public static let lockNotAvailable = SQLState("55P03")
    /// 57014: the statement was cancelled.
    public static let queryCanceled = SQLState("57014")
    /// 57P01: the server ends the session.
    public static let adminShutdown = SQLState("57P01")
    /// 57P03: the server starts, stops or recovers.
    public static let cannotConnectNow = SQLState("57P03")
    /// 42P01: there is no such table.
    public static let undefinedTable = SQLState("42P01")
    /// 26000: no statement is prepared under that name.
    public static let invalidStatementName = SQLState("26000")
    /// 0A000: among others, a prepared statement's result has changed its type.
    public static let featureNotSupported = SQLState("0A000")
}

// MARK: - What an error means

extension SQLState {
    /// What the error means for the work that met it. This is the only place that decides it.
    ///
    /// - *transient*: 08 (connection: another one may work), 25 (invalid transaction state, a read-only server among
    ///   it: a new transaction, or a failover, mends it), 40 (serialization, deadlock: the same again may pass), 53
    ///   (out of disk, memory, connections), 55P03 and 55006 (locked, in use), 57 (cancelled by `statement_timeout` or
    ///   a person; the server stops, starts, recovers), 58 (the operating system), 26000 and 0A000 (a prepared
    ///   statement that is gone, or whose result changed: it is prepared again).
    /// - *permanent*, for the event: 21 (the statement names a row twice: alone, the event may pass), 22 (its values do
    ///   not fit), 23, 40002 and 44 (they break a constraint or a view's rule), P0 (a trigger or function refuses them).
    /// - *everything*: all else. 42, 3F, 28, 3D, 57P04, 0L, XX, … are wrong SQL, a missing schema, rights or database,
    ///   or the server's own fault: no event passes until somebody changes something.
    public var kind: FailureKind {
        switch code {
        case "40002": return .permanent
        case "55P03", "55006", "26000", "0A000", "57014": return .transient
        case "57P04": return .everything  // the database was dropped
        default: break
        }
        switch errorClass {
        case "08", "25", "40", "53", "57", "58": return .transient
        case "21", "22", "23", "44", "P0": return .permanent
        default: return .everything
        }
    }
}

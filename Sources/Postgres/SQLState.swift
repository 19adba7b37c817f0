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
    /// 25006: the server, or the session, takes no writes.
    public static let readOnlyTransaction = SQLState("25006")
    /// The role has no right to do this.
    public static let insufficientPrivilege = SQLState("42501")
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
    ///   a person; the server stops, starts, recovers), 58 (the operating system), 72 (a snapshot too old), 26000 (a
    ///   prepared statement that is gone: it is prepared again), HV00N (a foreign server that does not answer).
    /// - *everything*: 42 (wrong SQL, a missing table or right), 3F and 3D (no such schema or database, and so 57P04),
    ///   28 (the login), 0L, 0P and 2B (roles and grants), F0 (the server's configuration): no event passes until
    ///   somebody changes something.
    /// - *permanent*, for the event: all else. 20 and P0 (a trigger or function refuses it), 21 (the statement names a
    ///   row twice: alone, the event may pass), 22 and 54 (its values do not fit), 23, 27, 40002 and 44 (it breaks a
    ///   constraint or a view's rule), 0A and XX (what PostgreSQL cannot do, or should not have done, with this row),
    ///   and every class that is not known: who applies many events finds out which of them fail, and many that fail
    ///   one after the other are a reason to stop.
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

    /// The error may come from a statement that was prepared before a table changed (0A000: its result has another
    /// type) or that is gone (26000). The connection prepares it again, so the same work may pass at once.
    public var mayBeOutdatedStatement: Bool { self == .featureNotSupported || self == .invalidStatementName }

    /// One row can be the reason although all others pass: a trigger raises the error for it, somebody holds a lock on
    /// it, what it needs takes too long. False for what depends on the server's state and not on rows: sessions,
    /// disks, memory in general, a server that stops.
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

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

    public static let uniqueViolation = SQLState("23505")
    public static let foreignKeyViolation = SQLState("23503")
    public static let serializationFailure = SQLState("40001")
    public static let deadlockDetected = SQLState("40P01")
    public static let lockNotAvailable = SQLState("55P03")
    public static let queryCanceled = SQLState("57014")
    public static let adminShutdown = SQLState("57P01")
    public static let cannotConnectNow = SQLState("57P03")
    public static let undefinedTable = SQLState("42P01")
    public static let invalidStatementName = SQLState("26000")
    public static let featureNotSupported = SQLState("0A000")
    public static let inFailedTransaction = SQLState("25P02")
}

// MARK: - What an error means

extension SQLState {
    /// What the error means for the work that met it. This is the only place that decides it.
    ///
    /// | SQLSTATE | meaning | kind | why |
    /// |---|---|---|---|
    /// | 08 | connection exception | transient | another connection may work |
    /// | 22 | data exception | permanent | the event's own values do not fit |
    /// | 23 | integrity constraint violation | permanent | the event's own values break a rule |
    /// | 44 | WITH CHECK OPTION violation | permanent | as 23, by a view |
    /// | 21 | cardinality violation | permanent | the batch names a row twice; alone, the event may pass |
    /// | P0 | raised by PL/pgSQL, `RAISE EXCEPTION` among it | permanent | a trigger refuses this event |
    /// | 40 | transaction rollback: serialization, deadlock, … | transient | the same again may pass |
    /// | 40002 | integrity constraint, found at the end | permanent | as 23 |
    /// | 55P03, 55006 | lock not available, object in use | transient | the holder goes away |
    /// | 57014 | cancelled by `statement_timeout` or a person | transient | the load that slowed it may pass |
    /// | 57P0x | server stops, starts, or recovers; session ended for idling | transient | it comes back |
    /// | 53 | out of disk, memory, connections | transient | somebody else's use of them may end |
    /// | 58 | error of the operating system | transient | as 53 |
    /// | 25 | invalid transaction state: read-only server, transaction failed or timed out | transient |
    ///   a failover makes the server writable, a new transaction works |
    /// | 26000 | the prepared statement is gone | transient | it is prepared again |
    /// | 0A000 | feature not supported; a cached plan whose result changed | transient | prepared again, it works |
    /// | all else: 42, 3F, 28, 3D, 0L, XX, … | SQL, schema, rights, database, internal | everything |
    ///   no event can pass until somebody changes something |
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

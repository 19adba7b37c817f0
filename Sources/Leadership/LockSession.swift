public import Postgres

/// A session that holds an advisory lock: its process is the leader for as long as the session lives.
///
/// The lock goes with its session. A leader whose changes all run in this session needs no fencing: without the lock it
/// has no session, and so it can change nothing.
public struct LockSession: Sendable {
    /// The lock is gone though its session lives, as happens behind a pooler that changes sessions.
    public struct LockGone: Error, CustomStringConvertible {
        public var description: String {
            "the session no longer holds its advisory lock; is there a pooler in transaction mode in between?"
        }
    }

    /// The server takes no writes: the leader could change nothing.
    public struct ReadOnly: Error, CustomStringConvertible {
        public var description: String {
            "the server takes no writes: it is a standby, or default_transaction_read_only is on"
        }
    }

    /// The session. The leader makes its changes here.
    public let connection: PostgresConnection
    private let key: AdvisoryLockKey

    private init(_ key: AdvisoryLockKey, _ connection: PostgresConnection) {
        self.key = key
        self.connection = connection
    }

    /// Opens a session for locks: one whose death both ends notice within seconds.
    public static func connect(_ postgres: PostgresConfiguration) async throws(PostgresError) -> PostgresConnection {
        var configuration = postgres
        configuration.keepaliveIdleSeconds = 5
        configuration.keepaliveIntervalSeconds = 2
        configuration.tcpUserTimeoutMs = 10_000
        // The server's view of it: a leader whose machine vanished must not keep the lock for hours.
        configuration.settings["tcp_keepalives_idle"] = "5"
        configuration.settings["tcp_keepalives_interval"] = "2"
        configuration.settings["tcp_keepalives_count"] = "3"
        return try await PostgresConnection.connect(configuration)
    }

    /// Ends a session that ``connect(_:)`` opened, and its locks. A session that is only closed has its locks until the
    /// server notices: whoever comes next could meet them.
    public static func end(_ connection: PostgresConnection) async {
        _ = try? await connection.execute("SELECT pg_advisory_unlock_all()", Parameters(), timeoutMs: 1_000)
        await connection.close()
    }

    /// Takes the lock if nobody has it.
    ///
    /// - Returns: nil when another session has it.
    public static func tryLock(
        _ key: AdvisoryLockKey, on connection: PostgresConnection
    ) async throws(PostgresError) -> LockSession? {
        try await connection.tryAdvisoryLock(key) ? LockSession(key, connection) : nil
    }

    /// Waits for the lock: the server gives it to this session when the leader hands it over. Others see in `pg_locks`
    /// that somebody waits.
    ///
    /// - Returns: nil when the leader kept it for longer than the session's `lock_timeout` or `statement_timeout`.
    public static func waitForLock(
        _ key: AdvisoryLockKey, on connection: PostgresConnection
    ) async throws(PostgresError) -> LockSession? {
        var parameters = Parameters()
        parameters.append(key.number)
        do throws(PostgresError) {
            try await connection.execute("SELECT pg_advisory_lock($1)", parameters)
        } catch {
            guard error.isStatementTimeout || error.sqlState == .lockNotAvailable else { throw error }
            return nil
        }
        return LockSession(key, connection)
    }

    /// `pg_locks` shows a lock's 64-bit number in two halves. A standby server grants advisory locks, too, so the
    /// question is also whether the server takes writes.
    private static let holdsLock: Statement = """
        SELECT count(*), current_setting('transaction_read_only') <> 'on'
        FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted
            AND objsubid = 1 AND (classid::bigint << 32) | objid::bigint = $1
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        """

    /// Asks the server whether the session holds the lock and can write.
    ///
    /// - Throws: ``LockGone``, ``ReadOnly``, `PostgresError`.
    public func verify() async throws {
        var parameters = Parameters()
        parameters.append(key.number)
        let answer = try await connection.execute(Self.holdsLock, parameters, timeoutMs: 5_000)
        if try answer.int64(0, 0) == 0 { throw LockGone() }
        if try !answer.bool(0, 1) { throw ReadOnly() }
    }
}

public import Postgres

/// A session that holds an advisory lock. Its process is the leader while the session lives.
///
/// The lock belongs to the session. A leader that makes all its changes in this session needs no fencing: if it loses
/// the lock, it also loses the session and cannot change anything.
public struct LockSession: Sendable {
    /// The session lives but has lost the lock. This happens behind a pooler that exchanges sessions.
    public struct LockGone: Error, CustomStringConvertible {
        public var description: String {
            "the session no longer holds its advisory lock; check that no pooler in transaction mode is in between"
        }
    }

    /// The server accepts no writes, so the leader could not change anything.
    public struct ReadOnly: Error, CustomStringConvertible {
        public var description: String {
            "the server accepts no writes; it is a standby, or default_transaction_read_only is on"
        }
    }

    /// The session. The leader makes its changes here.
    public let connection: PostgresConnection
    private let key: AdvisoryLockKey

    private init(_ key: AdvisoryLockKey, _ connection: PostgresConnection) {
        self.key = key
        self.connection = connection
    }

    /// Opens a session for locks. Both sides detect within seconds if the other one fails.
    public static func connect(_ postgres: PostgresConfiguration) async throws(PostgresError) -> PostgresConnection {
        var configuration = postgres
        configuration.keepaliveIdleSeconds = 5
        configuration.keepaliveIntervalSeconds = 2
        configuration.tcpUserTimeoutMs = 10_000
        // Keepalives of the server: if the leader's machine fails, its lock must not stay for hours.
        configuration.settings["tcp_keepalives_idle"] = "5"
        configuration.settings["tcp_keepalives_interval"] = "2"
        configuration.settings["tcp_keepalives_count"] = "3"
        return try await PostgresConnection.connect(configuration)
    }

    /// Ends a session of ``connect(_:)`` and releases its locks. After a plain close, the server keeps the locks until
    /// it detects the close, so the next session might find them taken.
    public static func end(_ connection: PostgresConnection) async {
        _ = try? await connection.execute("SELECT pg_advisory_unlock_all()", Parameters(), timeoutMs: 1_000)
        await connection.close()
    }

    /// Takes the lock if it is free.
    ///
    /// - Returns: nil if another session has it.
    public static func tryLock(
        _ key: AdvisoryLockKey, on connection: PostgresConnection
    ) async throws(PostgresError) -> LockSession? {
        try await connection.tryAdvisoryLock(key) ? LockSession(key, connection) : nil
    }

    /// Waits for the lock. The server gives it to this session when the leader hands it over. Other sessions see the
    /// waiting session in `pg_locks`.
    ///
    /// - Returns: nil if the leader kept the lock longer than the session's `lock_timeout` or `statement_timeout`.
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

    /// `pg_locks` shows the 64-bit number of a lock in two halves. A standby server also grants advisory locks, so the
    /// statement also checks whether the server accepts writes.
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

internal import Postgres
internal import StreamCore

/// The session that holds a shard's lock, and the only one that changes the outbox.
///
/// A session advisory lock goes with its session. All removals run in the very session that holds it, so a relay that
/// lost the lock cannot remove anything: there is nothing to fence. What it may still publish, from its producer's
/// queue, does no harm to the order: any relay sends each key's rows in order and without holes from the lowest that is
/// in the outbox on, so however two such runs mix, each event's first occurrence comes after that of the event before.
struct LockSession: Sendable {
    /// The lock is gone though its session lives, as happens behind a pooler that changes sessions.
    struct LockGone: Error, CustomStringConvertible {
        var description: String {
            "the session no longer holds the shard's lock; is there a pooler in transaction mode in between?"
        }
    }

    private let connection: PostgresConnection
    private let statements: OutboxStatements
    private let key: AdvisoryLockKey
    /// The server's process behind the session.
    let serverProcessID: Int32

    /// The server takes no writes: what is published could not be removed.
    struct ReadOnly: Error, CustomStringConvertible {
        var description: String {
            "the server takes no writes: it is a standby, or default_transaction_read_only is on"
        }
    }

    /// The reader and this session are with different servers: what the one reads, the other cannot remove.
    struct ServersDiffer: Error, CustomStringConvertible {
        var description: String {
            "the relay's sessions reached different servers; do the hosts of the URL or a load balancer mix them?"
        }
    }

    /// `pg_locks` shows a lock's 64-bit number in two halves. A standby grants advisory locks, too, so the question is
    /// also whether the server takes writes.
    private static let holdsLock: Statement = """
        SELECT count(*), current_setting('transaction_read_only') <> 'on'
        FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted
            AND objsubid = 1 AND (classid::bigint << 32) | objid::bigint = $1
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        """

    private static let unlockAll: Statement = "SELECT pg_advisory_unlock_all()"

    /// Ends a session that ``connect(_:)`` opened, and its locks. A session that is only closed has its locks until the
    /// server notices: whoever comes next could meet them.
    static func end(_ connection: PostgresConnection) async {
        _ = try? await connection.execute(unlockAll, Parameters(), timeoutMs: 1_000)
        await connection.close()
    }

    /// Opens a session for the lock: one whose death both ends notice within seconds.
    static func connect(_ postgres: PostgresConfiguration) async throws(PostgresError) -> PostgresConnection {
        var configuration = postgres
        configuration.keepaliveIdleSeconds = 5
        configuration.keepaliveIntervalSeconds = 2
        configuration.tcpUserTimeoutMs = 10_000
        // The server's view of it: a relay whose machine vanished must not keep the lock for hours.
        configuration.settings["tcp_keepalives_idle"] = "5"
        configuration.settings["tcp_keepalives_interval"] = "2"
        configuration.settings["tcp_keepalives_count"] = "3"
        // A removal that a crash of the server undoes is only a row that is published again.
        configuration.settings["synchronous_commit"] = "off"
        configuration.settings.merge(OutboxStatements.planning) { $1 }
        return try await PostgresConnection.connect(configuration)
    }

    /// Takes a shard's lock if nobody has it.
    ///
    /// - Returns: nil when another session has it.
    static func acquire(
        _ key: AdvisoryLockKey, on connection: PostgresConnection, _ statements: OutboxStatements
    ) async throws(PostgresError) -> LockSession? {
        guard try await connection.tryAdvisoryLock(key) else { return nil }
        return await LockSession(key, connection, statements)
    }

    /// Waits for a shard's lock: the server gives it to this session when its owner ends. Others see that somebody
    /// waits.
    ///
    /// - Returns: nil when the owner kept it for longer than the session's `lock_timeout` or `statement_timeout`.
    static func waitFor(
        _ key: AdvisoryLockKey, on connection: PostgresConnection, _ statements: OutboxStatements
    ) async throws(PostgresError) -> LockSession? {
        var parameters = Parameters()
        parameters.append(key.number)
        do throws(PostgresError) {
            try await connection.execute("SELECT pg_advisory_lock($1)", parameters)
        } catch {
            guard error.isStatementTimeout || error.sqlState == .lockNotAvailable else { throw error }
            return nil
        }
        return await LockSession(key, connection, statements)
    }

    private init(_ key: AdvisoryLockKey, _ connection: PostgresConnection, _ statements: OutboxStatements) async {
        self.connection = connection
        self.statements = statements
        self.key = key
        serverProcessID = await connection.serverProcessID
    }

    /// Asks the server whether the lock is held and rows can be removed.
    ///
    /// - Throws: ``LockGone``, ``ReadOnly``.
    func verify() async throws {
        var parameters = Parameters()
        parameters.append(key.number)
        let answer = try await connection.execute(Self.holdsLock, parameters, timeoutMs: 5_000)
        if try answer.int64(0, 0) == 0 { throw LockGone() }
        if try !answer.bool(0, 1) { throw ReadOnly() }
    }

    /// Whether `reader` is with the same server as this session.
    ///
    /// - Throws: ``ServersDiffer``.
    func requireSameServer(as reader: PostgresConnection) async throws {
        let own = try await connection.execute(Self.serverIdentity).string(0, 0)
        let others = try await reader.execute(Self.serverIdentity).string(0, 0)
        if own != others { throw ServersDiffer() }
    }

    /// No two servers started in the same microsecond, and none is two servers in one life.
    private static let serverIdentity: Statement = """
        SELECT extract(epoch FROM pg_postmaster_start_time())::text || ' ' || pg_is_in_recovery()::text
        """

    /// Removes rows, or marks them as published.
    ///
    /// - Parameter ids: ascending.
    /// - Returns: how many.
    func remove(_ ids: [Int64]) async throws(PostgresError) -> Int {
        try await connection.execute(statements.remove, Self.ranges(ids)).affectedRows
    }

    /// Which of these rows are still there, to be published.
    ///
    /// - Parameter ids: ascending.
    func remaining(_ ids: [Int64]) async throws(PostgresError) -> [Int64] {
        let result = try await connection.execute(statements.remaining, Self.ranges(ids))
        var left: [Int64] = []
        for row in 0..<result.rowCount { left.append(try result.int64(row, 0)) }
        return left
    }

    private static func ranges(_ ids: [Int64]) -> Parameters {
        var low = Int64Array(reservingBytes: 64)
        var high = Int64Array(reservingBytes: 64)
        for range in IDRanges.of(ids) {
            low.append(range.lowerBound)
            high.append(range.upperBound)
        }
        var parameters = Parameters()
        parameters.append(low)
        parameters.append(high)
        return parameters
    }

    /// Moves a row to the failed ones. Where its columns do not fit there (another type, a NULL), the row is kept
    /// whole, as JSON, and of its columns only what names its lane.
    ///
    /// - Throws: ``RemovalIgnored`` when the row is still in the outbox.
    func setAside(_ id: Int64, _ lane: Lane, _ failure: RowFailure) async throws {
        var parameters = Parameters()
        parameters.append(id)
        parameters.append(failure.errorClass)
        parameters.append(String(failure.message.prefix(1_000)))
        let moved: Int
        do throws(PostgresError) {
            moved = try await connection.execute(statements.setAside, parameters).affectedRows
        } catch {
            guard !error.endsConnection, error.kind != .transient else { throw error }
            parameters.append(lane.topic)
            parameters.append(String(decoding: lane.key, as: UTF8.self))
            moved = try await connection.execute(statements.setAsideWhole, parameters).affectedRows
        }
        // Nothing moved: somebody else took the row out, or something keeps it in.
        if moved == 0, try await !remaining([id]).isEmpty { throw RemovalIgnored() }
    }

}

extension PostgresError {
    /// The server or the client gave a statement up for the time it took; the connection is of use as before.
    var isStatementTimeout: Bool {
        code == .deadlineExceeded || code == .server && sqlState == .queryCanceled
    }
}

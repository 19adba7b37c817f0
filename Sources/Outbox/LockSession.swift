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

    /// `pg_locks` shows a lock's 64-bit number in two halves.
    private static let holdsLock: Statement = """
        SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted
            AND objsubid = 1 AND (classid::bigint << 32) | objid::bigint = $1
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        """

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

    /// Takes the shard's lock if nobody has it.
    ///
    /// - Returns: nil when another session has it.
    static func acquire(
        on connection: PostgresConnection, table: String, schema: String, shard: Int, statements: OutboxStatements
    ) async throws(PostgresError) -> LockSession? {
        let key = AdvisoryLockKey("millrace.outbox:\(schema).\(table)/\(shard)")
        guard try await connection.tryAdvisoryLock(key) else { return nil }
        return LockSession(
            connection: connection, statements: statements, key: key,
            serverProcessID: await connection.serverProcessID)
    }

    /// Asks the server whether the lock is held.
    ///
    /// - Throws: ``LockGone`` when it is not.
    func verify() async throws {
        var parameters = Parameters()
        parameters.append(key.number)
        let held = try await connection.execute(Self.holdsLock, parameters, timeoutMs: 5_000).int64(0, 0)
        if held == 0 { throw LockGone() }
    }

    /// Removes rows, or marks them as published.
    ///
    /// - Parameter ids: ascending.
    func remove(_ ids: [Int64]) async throws(PostgresError) {
        var low = Int64Array(reservingBytes: 64)
        var high = Int64Array(reservingBytes: 64)
        for range in IDRanges.of(ids) {
            low.append(range.lowerBound)
            high.append(range.upperBound)
        }
        var parameters = Parameters()
        parameters.append(low)
        parameters.append(high)
        try await connection.execute(statements.remove, parameters)
    }

    /// Moves a row to the failed ones.
    func setAside(_ id: Int64, _ failure: RowFailure) async throws(PostgresError) {
        var parameters = Parameters()
        parameters.append(id)
        parameters.append(failure.errorClass)
        parameters.append(String(failure.message.prefix(1_000)))
        try await connection.execute(statements.setAside, parameters)
    }

    /// Ends the session, and with it the lock.
    func release() async {
        await connection.close()
    }
}

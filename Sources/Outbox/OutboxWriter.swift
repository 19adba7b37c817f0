internal import Leadership
internal import Postgres
internal import StreamCore

/// Makes all changes to the outbox of a shard, in the session that holds the shard's lock.
///
/// A relay that lost the lock has lost this session too, so it cannot remove rows, and no fencing is needed. Its
/// producer may still publish queued records. This does not break the order: each relay sends the rows of a key in
/// order and without gaps, beginning with the lowest row in the outbox. Even if the records of two relays mix, the
/// first copy of each event comes after the first copy of the event before it.
struct OutboxWriter: Sendable {
    /// The reader and this session are connected to different servers. This session could not remove the rows that the
    /// reader reads.
    struct ServersDiffer: Error, CustomStringConvertible {
        var description: String {
            "the relay's sessions reached different servers; check the hosts of the URL, or the load balancer"
        }
    }

    /// The session that holds the shard's lock.
    let lock: LockSession
    private let statements: OutboxStatements
    /// The process id of the session's server process.
    let serverProcessID: Int32
    private var connection: PostgresConnection { lock.connection }

    init(_ lock: LockSession, _ statements: OutboxStatements) async {
        self.lock = lock
        self.statements = statements
        serverProcessID = await lock.connection.serverProcessID
    }

    /// The settings of sessions that hold locks.
    static func sessions(_ postgres: PostgresConfiguration) -> PostgresConfiguration {
        var sessions = postgres
        // If a crash of the server undoes a removal, the only effect is that the rows are published again.
        sessions.settings["synchronous_commit"] = "off"
        sessions.settings.merge(OutboxStatements.planning) { $1 }
        return sessions
    }

    /// Checks that `reader` is connected to the same server as this session.
    ///
    /// - Throws: ``ServersDiffer`` if it is not.
    func requireSameServer(as reader: PostgresConnection) async throws {
        let own = try await connection.execute(Self.serverIdentity).string(0, 0)
        let others = try await reader.execute(Self.serverIdentity).string(0, 0)
        if own != others { throw ServersDiffer() }
    }

    /// Two servers do not start in the same microsecond, and the recovery state of a server changes at most once after
    /// its start.
    private static let serverIdentity: Statement = """
        SELECT extract(epoch FROM pg_postmaster_start_time())::text || ' ' || pg_is_in_recovery()::text
        """

    /// Removes rows, or marks them as published.
    ///
    /// - Parameter ids: ascending.
    /// - Returns: the number of rows.
    func remove(_ ids: [Int64]) async throws(PostgresError) -> Int {
        try await connection.execute(statements.remove, Self.ranges(ids)).affectedRows
    }

    /// The rows of `ids` that still exist and are not published.
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

    /// Moves a row to the failed-rows table. If a column does not fit there (another type, or NULL), the row is stored
    /// as JSON, with only its topic and key as columns.
    ///
    /// - Throws: ``RemovalIgnored`` if the row is still in the outbox.
    func setAside(_ id: Int64, _ topicKey: TopicKey, _ failure: RowFailure) async throws {
        var parameters = Parameters()
        parameters.append(id)
        parameters.append(failure.errorClass)
        parameters.append(String(failure.message.prefix(1_000)))
        let moved: Int
        do throws(PostgresError) {
            moved = try await connection.execute(statements.setAside, parameters).affectedRows
        } catch {
            guard !error.endsConnection, error.kind != .transient else { throw error }
            parameters.append(topicKey.topic)
            parameters.append(String(decoding: topicKey.key, as: UTF8.self))
            moved = try await connection.execute(statements.setAsideWhole, parameters).affectedRows
        }
        // No row was moved: either another session removed it, or the server ignored the removal.
        if moved == 0, try await !remaining([id]).isEmpty { throw RemovalIgnored() }
    }
}

internal import Leadership
internal import Postgres
internal import StreamCore

/// The only one that changes the outbox of a shard: in the session that holds the shard's lock.
///
/// All removals run in that very session, so a relay that lost the lock cannot remove anything: there is nothing to
/// fence. What it may still publish, from its producer's queue, does no harm to the order: any relay sends each key's
/// rows in order and without holes from the lowest that is in the outbox on, so however two such runs mix, each event's
/// first occurrence comes after that of the event before.
struct OutboxWriter: Sendable {
    /// The reader and this session are with different servers: what the one reads, the other cannot remove.
    struct ServersDiffer: Error, CustomStringConvertible {
        var description: String {
            "the relay's sessions reached different servers; check the hosts of the URL, or the load balancer"
        }
    }

    /// The session that holds the shard's lock.
    let lock: LockSession
    private let statements: OutboxStatements
    /// The server's process behind the session.
    let serverProcessID: Int32
    private var connection: PostgresConnection { lock.connection }

    init(_ lock: LockSession, _ statements: OutboxStatements) async {
        self.lock = lock
        self.statements = statements
        serverProcessID = await lock.connection.serverProcessID
    }

    /// How the sessions that hold locks are set up.
    static func sessions(_ postgres: PostgresConfiguration) -> PostgresConfiguration {
        var sessions = postgres
        // A removal that a crash of the server undoes is only a row that is published again.
        sessions.settings["synchronous_commit"] = "off"
        sessions.settings.merge(OutboxStatements.planning) { $1 }
        return sessions
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
    /// whole, as JSON, and of its columns only its topic and its key.
    ///
    /// - Throws: ``RemovalIgnored`` when the row is still in the outbox.
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
        // No row was moved: another session removed it, or the server keeps it.
        if moved == 0, try await !remaining([id]).isEmpty { throw RemovalIgnored() }
    }
}

internal import Postgres

/// Into how many shards the relays of a table divide its keys, by a lock that each of their sessions shares.
///
/// Two relays that divide the keys differently would publish a key from two places at once, and no lock of a shard
/// would keep them apart.
struct ShardRegistry: Sendable {
    private let table: String
    private let shards: Int
    /// The lock's first number stands for the table, the second one is the number of shards.
    private let place: Int32

    init(schema: String, table: String, shards: Int) {
        self.table = table
        self.shards = shards
        let key = AdvisoryLockKey("millrace.outbox.shards:\(schema).\(table)").number
        place = Int32(truncatingIfNeeded: key & 0x7FFF_FFFF)
    }

    private static let share: Statement = "SELECT pg_try_advisory_lock_shared($1, $2)"
    private static let others: Statement = """
        SELECT max(objid::bigint) FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND classid::bigint = $1::bigint
            AND objid::bigint <> $2::bigint
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        """

    /// Says so to all others for as long as the session lives.
    ///
    /// - Throws: ``OutboxRelayError`` when a relay of the table has another number of shards.
    func enter(on connection: PostgresConnection) async throws {
        var parameters = Parameters()
        parameters.append(place)
        parameters.append(Int32(clamping: shards))
        _ = try await connection.execute(Self.share, parameters)
        // Of two that come at the same time each sees the other: both refuse, and none publishes.
        if let other = try await connection.execute(Self.others, parameters).optionalInt64(0, 0) {
            throw OutboxRelayError(
                .configuration,
                "a relay of table \(table) runs with shards = \(other), but this one has shards = \(shards); set the same "
                    + "number for all relays, and stop them all before you change it")
        }
    }
}

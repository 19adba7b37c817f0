internal import Postgres

/// Checks that all relays of a table use the same number of shards, by a lock that each of their sessions shares.
///
/// Two relays with different numbers would publish the same key at the same time, and the locks of the shards would not
/// prevent it.
struct ShardRegistry: Sendable {
    private let table: String
    private let shards: Int
    /// The first number of the lock, which stands for the table. The second number is the number of shards.
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

    /// Announces the number of shards to all other relays while the session lives.
    ///
    /// - Throws: ``OutboxRelayError`` if a relay of the table has another number of shards.
    func enter(on connection: PostgresConnection) async throws {
        var parameters = Parameters()
        parameters.append(place)
        parameters.append(Int32(clamping: shards))
        _ = try await connection.execute(Self.share, parameters)
        // If two relays start at the same time, each sees the other. Both stop, and neither publishes.
        if let other = try await connection.execute(Self.others, parameters).optionalInt64(0, 0) {
            throw OutboxRelayError(
                .configuration,
                "a relay of table \(table) runs with shards = \(other), but this one has shards = \(shards); set the same "
                    + "number for all relays, and stop them all before you change it")
        }
    }
}

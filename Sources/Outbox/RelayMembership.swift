internal import Leadership
internal import Postgres

/// A session through which the relay processes of a table know each other. Each process holds a lock that shows that it
/// runs, and reads from the locks of all processes which of them owns which shard.
///
/// There is no table of members, so no entry can outlive its process: a lock ends with its session, and a session ends
/// with its process.
struct RelayMembership: Sendable {
    let keys: RelayLockKeys
    let connection: PostgresConnection

    /// Announces that this process runs.
    ///
    /// - Throws: ``OutboxRelayError`` if a relay of the table has another number of shards.
    static func enter(
        _ keys: RelayLockKeys, registry: ShardRegistry, on connection: PostgresConnection
    ) async throws -> RelayMembership {
        try await registry.enter(on: connection)
        try await keys.share(.member, on: connection)
        return RelayMembership(keys: keys, connection: connection)
    }

    private static let locks: Statement = """
        SELECT pid, granted, objsubid::int, classid::bigint, objid::bigint FROM pg_locks
        WHERE locktype = 'advisory' AND pid IS NOT NULL
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND (objsubid = 2 AND classid::bigint IN ($1::bigint, $2::bigint)
                OR objsubid = 1 AND (classid::bigint << 32) | objid::bigint = ANY ($3))
        """

    /// Reads which processes run and which shards they own.
    func look() async throws -> ShardDistribution.View {
        var shards = Int64Array()
        for key in keys.shards { shards.append(key.number) }
        var parameters = Parameters()
        parameters.append(keys.place(of: .member))
        parameters.append(keys.place(of: .owner))
        parameters.append(shards)
        let result = try await connection.execute(Self.locks, parameters, timeoutMs: 5_000)
        var rows: [RelayLockKeys.Row] = []
        for row in 0..<result.rowCount {
            rows.append(
                RelayLockKeys.Row(
                    session: try result.int32(row, 0), isGranted: try result.bool(row, 1),
                    isPair: try result.int32(row, 2) == 2, high: try result.int64(row, 3),
                    low: try result.int64(row, 4)))
        }
        return keys.view(of: rows)
    }

    func leave() async {
        await LockSession.end(connection)
    }
}

/// The advisory locks of the relays of one table.
///
/// | lock | held by | meaning |
/// |---|---|---|
/// | shard, exclusive | the session that publishes the shard | the session's process owns the shard |
/// | member and process, shared | one session of each process | the process runs |
/// | owner and process, shared | each session that owns a shard or waits for one | the session belongs to the process |
struct RelayLockKeys: Sendable {
    /// The meaning of the first number of a pair. The second number is the process.
    enum Pair: String {
        case member
        case owner
    }

    /// A row of `pg_locks`.
    struct Row {
        let session: Int32
        let isGranted: Bool
        /// Whether the key consists of two 32-bit numbers instead of one 64-bit number.
        let isPair: Bool
        let high: Int64
        let low: Int64
    }

    /// The keys of the shards, by number.
    let shards: [AdvisoryLockKey]
    /// The number of this process, chosen at random.
    let process: Int32
    private let table: String

    init(schema: String, table: String, shards: Int, process: Int32 = .random(in: 1 ... .max)) {
        self.table = "\(schema).\(table)"
        self.shards = (0..<shards).map { AdvisoryLockKey("millrace.outbox:\(schema).\(table)/\($0)") }
        self.process = process
    }

    func place(of pair: Pair) -> Int32 {
        let key = AdvisoryLockKey("millrace.outbox.\(pair.rawValue):\(table)").number
        return Int32(truncatingIfNeeded: key & 0x7FFF_FFFF)
    }

    /// Takes the lock of this process in the session.
    func share(_ pair: Pair, on connection: PostgresConnection) async throws(PostgresError) {
        var parameters = Parameters()
        parameters.append(place(of: pair))
        parameters.append(process)
        _ = try await connection.execute("SELECT pg_try_advisory_lock_shared($1, $2)", parameters)
    }

    /// Converts the locks to a view of processes and owners.
    func view(of rows: [Row]) -> ShardDistribution.View {
        let (member, owner) = (Int64(place(of: .member)), Int64(place(of: .owner)))
        let numbers = [Int64: Int](
            shards.enumerated().map { ($1.number, $0) }, uniquingKeysWith: { first, _ in first })
        var view = ShardDistribution.View()
        var processes: [Int32: Int32] = [:]
        for row in rows where row.isPair {
            if row.high == member { view.members.insert(Int32(truncatingIfNeeded: row.low)) }
            if row.high == owner { processes[row.session] = Int32(truncatingIfNeeded: row.low) }
        }
        for row in rows where !row.isPair {
            guard let shard = numbers[row.high << 32 | row.low] else { continue }
            if row.isGranted {
                view.owners[shard] = processes[row.session] ?? ShardDistribution.unknownOwner
            } else {
                view.awaited.insert(shard)
            }
        }
        return view
    }
}

internal import Leadership
internal import Postgres

/// The session by which the relay processes of a table know of each other: each says by a lock that it is up, and reads
/// from the locks of all who owns which shard.
///
/// There is no table of members that could hold one that is gone: a lock ends with its session, and a session with its
/// process.
struct RelayMembership: Sendable {
    let keys: RelayLockKeys
    let connection: PostgresConnection

    /// Says that this process is up.
    ///
    /// - Throws: ``OutboxRelayError`` when a relay of the table has another number of shards.
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

    /// Who is up, and who owns what, at this moment.
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

/// The advisory locks of one table's relays.
///
/// | lock | held by | says |
/// |---|---|---|
/// | a shard's, exclusive | the session that publishes it | who owns the shard |
/// | member, process; shared | one session of each process | the process is up |
/// | owner, process; shared | each session that owns a shard or waits for one | to which process it belongs |
struct RelayLockKeys: Sendable {
    /// What the first number of a pair stands for; the second one is the process.
    enum Pair: String {
        case member
        case owner
    }

    /// A lock as `pg_locks` shows it.
    struct Row {
        let session: Int32
        let isGranted: Bool
        /// The key has two numbers of 32 bits, rather than one of 64.
        let isPair: Bool
        let high: Int64
        let low: Int64
    }

    /// Of the shards, in their order.
    let shards: [AdvisoryLockKey]
    /// This process, by a number of its own making.
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

    /// Takes the lock of this process for the session.
    func share(_ pair: Pair, on connection: PostgresConnection) async throws(PostgresError) {
        var parameters = Parameters()
        parameters.append(place(of: pair))
        parameters.append(process)
        _ = try await connection.execute("SELECT pg_try_advisory_lock_shared($1, $2)", parameters)
    }

    /// What the locks mean.
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

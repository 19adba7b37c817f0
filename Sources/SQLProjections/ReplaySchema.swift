internal import Postgres
internal import StreamCore

/// The schema in which a replay applies events. It contains a copy of the folder's tables, and the ids of applied
/// events. The schema is registered, and the session of the replay holds a lock on it. If the replay is killed, another
/// program can therefore detect and drop the schema.
struct ReplaySchema: Sendable {
    let name: String
    private let version: VersionSchema
    private let remember: Statement

    private init(_ name: String, _ version: VersionSchema) {
        self.name = name
        self.version = version
        remember = Statement(
            """
            INSERT INTO \(Self.memory(in: name)) SELECT * FROM unnest($1::uuid[])
            ON CONFLICT DO NOTHING RETURNING event_id
            """)
    }

    private static func memory(in schema: String) -> String {
        "\(SQLIdentifier.quoted(schema)).millrace_replayed_events"
    }

    /// Creates the schema for a session. The session must exist as long as the replay.
    static func make(for version: VersionSchema, on connection: PostgresConnection) async throws -> ReplaySchema {
        let name = "millrace_replay_" + String(UInt64.random(in: .min ... .max), radix: 36)
        let schema = ReplaySchema(name, version)
        try await connection.execute(
            .unprepared("SELECT pg_advisory_lock(\(lockKey))"), Parameters { $0.append(name) })
        try await connection.withTransaction { transaction in
            try await transaction.execute(
                .unprepared("INSERT INTO sql_projection_replays (schema_name, name, version) VALUES ($1, $2, $3)"),
                Parameters {
                    $0.append(name)
                    $0.append(version.folder.name)
                    $0.append(Int32(version.folder.version))
                })
            try await version.build(name, nil, transaction)
            // The schema may belong to the version's role, but the replay's user must write to this table.
            try await transaction.execute(script: "CREATE TABLE \(memory(in: name)) (event_id uuid PRIMARY KEY)")
            try await schema.leaveOutOfTheLog(transaction)
        }
        return schema
    }

    private static let lockKey = "hashtextextended('millrace replay ' || $1, 0)"

    /// Makes the tables unlogged, because they are not needed after a crash of the server. Tables with foreign keys
    /// cannot be changed one by one.
    private func leaveOutOfTheLog(_ transaction: PostgresTransaction) async throws {
        let tables = try await transaction.execute(
            .unprepared(
                """
                SELECT format('ALTER TABLE %I.%I SET UNLOGGED', $1::text, c.relname) FROM pg_class AS c
                WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
                    AND c.relkind = 'r' AND c.relpersistence = 'p' AND NOT EXISTS (
                        SELECT FROM pg_constraint AS k
                        WHERE k.contype = 'f' AND (k.conrelid = c.oid OR k.confrelid = c.oid))
                """), Parameters { $0.append(name) })
        for row in 0..<tables.rowCount { try await transaction.execute(script: try tables.string(row, 0)) }
    }

    /// The events that no earlier call received, each once. A repeated event is applied once, as in the version.
    func firstSeen(
        _ events: [SQLEvent], in transaction: PostgresTransaction
    ) async throws(PostgresError) -> [SQLEvent] {
        if events.isEmpty { return [] }
        var ids = UUIDArray()
        for event in events { ids.append(event.eventID) }
        let result = try await transaction.execute(remember, Parameters { $0.append(ids) })
        var new: Set<EventID> = []
        for row in 0..<result.rowCount { new.insert(try result.eventID(row, 0)) }
        return events.filter { new.remove($0.eventID) != nil }
    }

    // MARK: the end

    /// Drops the schema at the end of the replay, and the version's role if the version was dropped in the meantime.
    func drop(_ connection: PostgresConnection) async throws {
        try await connection.withTransaction { transaction in
            try await Self.drop(name, transaction)
            guard let role = version.role, try await !VersionRegistration(version.folder, transaction).isKnown else {
                return
            }
            try await FolderTables.dropRole(role, in: transaction)
        }
    }

    /// Drops the schemas of a projection's replays that were killed.
    static func dropAbandoned(of projection: String, in transaction: PostgresTransaction) async throws {
        let found = try await transaction.execute(
            .unprepared("SELECT schema_name FROM sql_projection_replays WHERE name = $1 ORDER BY 1"),
            Parameters { $0.append(projection) })
        for row in 0..<found.rowCount {
            let name = try found.string(row, 0)
            let lock = try await transaction.execute(
                .unprepared("SELECT pg_try_advisory_xact_lock(\(lockKey))"), Parameters { $0.append(name) })
            if try lock.bool(0, 0) { try await drop(name, transaction) }
        }
    }

    private static func drop(_ name: String, _ transaction: PostgresTransaction) async throws {
        try await transaction.execute(script: "DROP SCHEMA IF EXISTS \(SQLIdentifier.quoted(name)) CASCADE")
        try await transaction.execute(
            .unprepared("DELETE FROM sql_projection_replays WHERE schema_name = $1"), Parameters { $0.append(name) })
    }
}

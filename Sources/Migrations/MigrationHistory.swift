internal import Postgres
internal import StreamCore

/// The table `millrace_migrations`, with one row for each applied migration.
struct MigrationHistory {
    struct Key: Hashable {
        let set: String
        let number: Int

        init(set: String, number: Int) {
            self.set = set
            self.number = number
        }

        init(_ migration: Migration) {
            self.init(set: migration.set, number: migration.number)
        }
    }

    struct Entry {
        let name: String
        let checksum: [UInt8]
        let appliedAt: Timestamp
        let appliedBy: String
    }

    private(set) var entries: [Key: Entry] = [:]

    subscript(migration: Migration) -> Entry? { entries[Key(migration)] }

    /// Creates the schema and the table if they do not exist.
    static func create(schema: String, _ connection: PostgresConnection) async throws {
        try await connection.withTransaction { transaction in
            try await lock(transaction, schema: schema)
            var parameters = Parameters()
            parameters.append(schema)
            // CREATE SCHEMA runs only if the schema is missing, because a role that may use a schema may not be allowed
            // to create one.
            let exists = try await transaction.execute(
                .unprepared("SELECT 1 FROM pg_namespace WHERE nspname = $1"), parameters)
            let makeSchema = exists.rowCount == 0 ? "CREATE SCHEMA \(SQLIdentifier.quoted(schema));" : ""
            try await transaction.execute(
                script: """
                    \(makeSchema)
                    CREATE TABLE IF NOT EXISTS millrace_migrations (
                        set text NOT NULL,
                        number integer NOT NULL,
                        name text NOT NULL,
                        checksum bytea NOT NULL,
                        applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
                        applied_by text NOT NULL DEFAULT session_user,
                        PRIMARY KEY (set, number)
                    )
                    """)
        }
    }

    /// Locks out other migrators of this schema until the transaction ends.
    static func lock(_ transaction: PostgresTransaction, schema: String? = nil) async throws {
        var parameters = Parameters()
        parameters.append(schema)
        try await transaction.execute(
            .unprepared(
                """
                SELECT pg_advisory_xact_lock(
                    hashtextextended('millrace_migrations ' || coalesce($1, current_schema()), 0))
                """), parameters)
    }

    /// Whether the transaction is still the one that took the lock.
    static func isLocked(_ transaction: PostgresTransaction) async throws -> Bool {
        let rows = try await transaction.execute(
            .unprepared("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"))
        return rows.rowCount > 0
    }

    static func read(_ connection: PostgresConnection) async throws -> MigrationHistory {
        let rows = try await connection.execute(
            .unprepared("SELECT set, number, name, checksum, applied_at, applied_by FROM millrace_migrations"))
        var history = MigrationHistory()
        for row in 0..<rows.rowCount {
            let key = Key(set: try rows.string(row, 0), number: Int(try rows.int32(row, 1)))
            let checksum = rows.bytes(row, 3)
            history.entries[key] = Entry(
                name: try rows.string(row, 2), checksum: checksum.indices.map { checksum[$0] },
                appliedAt: try rows.timestamp(row, 4), appliedBy: try rows.string(row, 5))
        }
        return history
    }

    /// Like ``read(_:)``, but returns an empty history if the table does not exist.
    ///
    /// - Parameter schema: the schema of the table.
    /// - Throws: `MissingRight` if the user may not use the schema, or not read the table.
    static func readIfPresent(_ connection: PostgresConnection, schema: String) async throws -> MigrationHistory {
        let found = try await connection.execute(
            .unprepared("SELECT to_regclass('millrace_migrations') IS NOT NULL"))
        if try found.bool(0, 0) {
            if let missing = try await MissingRight.select(from: "millrace_migrations", on: connection) {
                throw missing
            }
            return try await read(connection)
        }
        if let missing = try await MissingRight.usage(of: schema, on: connection) { throw missing }
        return MigrationHistory()
    }

    static func contains(_ migration: Migration, _ transaction: PostgresTransaction) async throws -> Bool {
        var parameters = Parameters()
        parameters.append(migration.set)
        parameters.append(Int32(migration.number))
        let rows = try await transaction.execute(
            .unprepared("SELECT 1 FROM millrace_migrations WHERE set = $1 AND number = $2"), parameters)
        return rows.rowCount > 0
    }

    static func add(_ migration: Migration, _ checksum: [UInt8], _ transaction: PostgresTransaction) async throws {
        var parameters = Parameters()
        parameters.append(migration.set)
        parameters.append(Int32(migration.number))
        parameters.append(migration.name)
        parameters.append(checksum)
        try await transaction.execute(
            .unprepared("INSERT INTO millrace_migrations (set, number, name, checksum) VALUES ($1, $2, $3, $4)"),
            parameters)
    }

    /// The SHA-256 checksums of the files, computed by the server.
    static func checksums(
        of migrations: [Migration], _ connection: PostgresConnection
    ) async throws -> [[UInt8]] {
        var files = ByteaArray()
        for migration in migrations { files.append(migration.sql) }
        var parameters = Parameters()
        parameters.append(files)
        let rows = try await connection.execute(
            .unprepared("SELECT sha256(file) FROM unnest($1) WITH ORDINALITY AS f (file, place) ORDER BY place"),
            parameters)
        return (0..<rows.rowCount).map { row in
            let checksum = rows.bytes(row, 0)
            return checksum.indices.map { checksum[$0] }
        }
    }
}

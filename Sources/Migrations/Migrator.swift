public import Logging
public import Postgres

/// Applies migrations to a database's schema.
///
/// Each file runs in one transaction, which also inserts its row into `millrace_migrations` and holds an advisory lock.
/// So any number of migrators may run at once, even through a pooler, and each file is applied once.
public struct Migrator: Sendable {
    private let configuration: PostgresConfiguration
    private let catalog: MigrationCatalog
    private let logger: Logger

    /// - Parameters:
    ///   - configuration: the database, and the `schema` to migrate. Statements have no time limit.
    ///   - catalog: the migrations of the program.
    ///   - logger: receives a line for each applied migration.
    public init(
        _ configuration: PostgresConfiguration, catalog: MigrationCatalog = .embedded,
        logger: Logger = Logger(label: "millrace.migrations", factory: { _ in SwiftLogNoOpLogHandler() })
    ) {
        var configuration = configuration
        configuration.searchedFirst = []
        configuration.statementTimeoutMs = 0
        configuration.lockTimeoutMs = 0
        configuration.idleInTransactionTimeoutMs = 0
        self.configuration = configuration
        self.catalog = catalog
        self.logger = logger
    }

    /// Applies the missing migrations of the sets, in the given order of sets and in the order of their numbers.
    ///
    /// - Returns: the migrations that this call applied.
    /// - Throws: ``MigrationError``, `PostgresError` or `TransactionError`. Migrations before the failed one stay
    ///   applied.
    @discardableResult
    public func up(_ sets: [String]) async throws -> [Migration] {
        let wanted = try migrations(of: sets)
        return try await PostgresConnection.with(configuration) { connection in
            try await MigrationHistory.create(schema: configuration.schema, connection)
            let applied = try await MigrationHistory.read(connection)
            let checksums = try await MigrationHistory.checksums(of: wanted, connection)
            for (migration, checksum) in zip(wanted, checksums) {
                if let entry = applied[migration], entry.checksum != checksum { throw changed(migration) }
            }
            var done: [Migration] = []
            for (migration, checksum) in zip(wanted, checksums) where applied[migration] == nil {
                guard try await apply(migration, checksum, connection) else { continue }
                logger.info("migration applied", metadata: ["migration": "\(migration)"])
                done.append(migration)
            }
            return done
        }
    }

    private func apply(
        _ migration: Migration, _ checksum: [UInt8], _ connection: PostgresConnection
    ) async throws -> Bool {
        try await connection.withTransaction { transaction in
            try await MigrationHistory.lock(transaction)
            guard try await !MigrationHistory.contains(migration, transaction) else { return false }
            try await transaction.execute(script: String(decoding: migration.sql, as: UTF8.self))
            guard try await MigrationHistory.isLocked(transaction) else { throw ended(migration) }
            try await MigrationHistory.add(migration, checksum, transaction)
            return true
        }
    }

    /// The state of each migration of the sets, including those that only the database has.
    public func status(_ sets: [String]) async throws -> [MigrationStatus] {
        let wanted = try migrations(of: sets)
        return try await PostgresConnection.with(configuration) { connection in
            let applied = try await MigrationHistory.readIfPresent(connection, schema: configuration.schema)
            let checksums = try await MigrationHistory.checksums(of: wanted, connection)
            var result: [MigrationStatus] = zip(wanted, checksums).map { migration, checksum in
                let entry = applied[migration]
                let state: MigrationStatus.State =
                    if let entry { entry.checksum == checksum ? .applied : .changed } else { .missing }
                return MigrationStatus(
                    set: migration.set, number: migration.number, name: migration.name, state: state,
                    appliedAt: entry?.appliedAt, appliedBy: entry?.appliedBy)
            }
            let known = Set(wanted.map { MigrationHistory.Key($0) })
            for (key, entry) in applied.entries where sets.contains(key.set) && !known.contains(key) {
                result.append(
                    MigrationStatus(
                        set: key.set, number: key.number, name: entry.name, state: .unknown,
                        appliedAt: entry.appliedAt, appliedBy: entry.appliedBy))
            }
            return result.sorted { ($0.set, $0.number) < ($1.set, $1.number) }
        }
    }

    /// The sets of this program of which the database has at least one migration.
    public func appliedSets() async throws -> Set<String> {
        let applied = try await PostgresConnection.with(configuration) {
            try await MigrationHistory.readIfPresent($0, schema: configuration.schema)
        }
        return Set(applied.entries.keys.map(\.set)).intersection(catalog.sets)
    }

    /// The migrations that are missing, were changed after they were applied, or are unknown to this program.
    public func verify(_ sets: [String]) async throws -> [MigrationStatus] {
        try await status(sets).filter { $0.state != .applied }
    }

    private func migrations(of sets: [String]) throws(MigrationError) -> [Migration] {
        var all: [Migration] = []
        for set in sets { all += try catalog.migrations(of: set) }
        return all
    }

    private func ended(_ migration: Migration) -> MigrationError {
        MigrationError(
            .transactionEnded,
            "migration \(migration) ends its own transaction, so its first statements may be committed")
    }

    private func changed(_ migration: Migration) -> MigrationError {
        MigrationError(
            .checksumChanged, "migration \(migration) was applied with different content from that of this program")
    }
}

internal import CommandSupport
internal import EmbeddedPostgres
internal import Foundation
internal import Migrations
internal import Postgres

/// The database of `millrace dev`: a private server in the session's folder, or the database that the environment
/// specifies.
struct DevDatabase: Sendable {
    let url: String
    private let server: PostgresServer?

    /// Whether it is a private server of this session.
    var isPrivate: Bool { server != nil }

    static func start(in folder: DevFolder) async throws -> DevDatabase {
        let named = ProcessInfo.processInfo.environment["DATABASE_URL"] ?? ""
        guard named.isEmpty else { return DevDatabase(url: named, server: nil) }
        let server = try await PostgresServer.start(
            PostgresServerConfiguration(folder: "\(folder.path)/postgres", tcp: .freePort))
        return DevDatabase(url: server.url, server: server)
    }

    func configuration(applicationName: String) throws -> PostgresConfiguration {
        var configuration = try PostgresConfiguration(url: url)
        configuration.applicationName = applicationName
        return configuration
    }

    func stop() async {
        await server?.stop()
    }

    // MARK: preparation

    static let migrationSets = MigrateCommand.Sets.standard + ["outbox-keep"]

    /// Applies missing migrations.
    func migrate() async throws -> Int {
        let configuration = try configuration(applicationName: "millrace-dev")
        let count = try await Migrator(configuration).up(Self.migrationSets).count
        if isPrivate { try await PostgresConnection.with(configuration) { try await Self.makeExtensions($0) } }
        return count
    }

    /// Creates the extensions that this repository's SQL projections use, because their roles may not create them. In
    /// production an administrator does this.
    private static func makeExtensions(_ connection: PostgresConnection) async throws {
        let found = try await connection.execute(
            "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm')")
        guard try found.bool(0, 0) else { return }
        try await connection.execute(script: "CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public")
    }

    /// Whether orders exist. An empty cluster then lacks their events.
    func hasOrders() async throws -> Bool {
        try await PostgresConnection.with(configuration(applicationName: "millrace-dev")) {
            try await $0.execute("SELECT EXISTS (SELECT FROM orders)").bool(0, 0)
        }
    }

    /// Prepares the database for a cluster that has just started empty.
    ///
    /// The offsets of the old cluster are invalid in the new one. They are deleted, so the projections start at the new
    /// beginning. The outbox still contains all events that the old cluster may have contained and a projection has not
    /// read. They are published again, including those that became dead letters. Repeated events change nothing,
    /// because processed events are recorded and the read models merge idempotently.
    ///
    /// - Parameter isAllowed: whether offsets may be deleted. Otherwise existing offsets are an error, so the offsets
    ///   of a real system are never deleted by accident.
    /// - Returns: the number of events that are published again.
    func forgetCluster(isAllowed: Bool) async throws -> Int {
        try await PostgresConnection.with(configuration(applicationName: "millrace-dev")) { connection in
            try await connection.withTransaction { transaction in
                let dropped = try await transaction.execute("DELETE FROM projection_offsets").affectedRows
                guard isAllowed || dropped == 0 else {
                    throw CommandFailure(
                        "The database of DATABASE_URL contains a projection's offsets of another Kafka cluster. The "
                            + "current cluster is new and empty. Set KAFKA_BOOTSTRAP_SERVERS to the other cluster, or "
                            + "delete the offsets with --reset-offsets.", .unavailable)
                }
                // The letters refer to records that no longer exist. Their events are in the outbox and are published
                // again.
                try await transaction.execute("DELETE FROM parked_events")
                try await transaction.execute("DELETE FROM dead_letters")
                try await transaction.execute("DELETE FROM dead_letter_groups")
                try await transaction.execute("DELETE FROM dead_letter_alerts WHERE sent_at IS NULL")
                try await transaction.execute("DELETE FROM circuit_breakers")
                return try await transaction.execute(
                    "UPDATE outbox SET published_at = NULL WHERE published_at IS NOT NULL"
                ).affectedRows
            }
        }
    }
}

internal import EmbeddedPostgres
internal import Foundation
internal import Migrations
internal import Postgres

/// The database of a `millrace dev`: a private server on the session's folder, or the one that the environment names.
struct DevDatabase: Sendable {
    let url: String
    private let server: PostgresServer?

    /// Whether it is this session's own.
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

    // MARK: what the session needs to be there

    static let migrationSets = MigrateCommand.Sets.standard + ["outbox-keep"]

    /// Brings the schema up to date.
    func migrate() async throws -> Int {
        let configuration = try configuration(applicationName: "millrace-dev")
        let count = try await Migrator(configuration).up(Self.migrationSets).count
        if isPrivate { try await PostgresConnection.with(configuration) { try await Self.makeExtensions($0) } }
        return count
    }

    /// Makes the extensions that our own folders of SQL use: their roles may not. An administrator does so elsewhere.
    private static func makeExtensions(_ connection: PostgresConnection) async throws {
        let found = try await connection.execute(
            "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm')")
        guard try found.bool(0, 0) else { return }
        try await connection.execute(script: "CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public")
    }

    /// Whether there are orders, whose events an empty cluster has not all.
    func hasOrders() async throws -> Bool {
        try await PostgresConnection.with(configuration(applicationName: "millrace-dev")) {
            try await $0.execute("SELECT EXISTS (SELECT FROM orders)").bool(0, 0)
        }
    }

    /// Makes the database fit for a cluster that has just started empty.
    ///
    /// The offsets of the old cluster mean nothing in the new one: they are dropped, so that the projections start at
    /// the new beginning. What the old cluster may have held and a projection not yet read is still in the outbox,
    /// which keeps its rows for that long; it is published again, what became a dead letter included. Processed events
    /// and the read models' rules make second deliveries harmless.
    ///
    /// - Parameter isAllowed: whether there may be such offsets; else they are an error, lest those of a real system
    ///   are dropped.
    /// - Returns: how many events are published again.
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
                // The letters are of records that are no more; their events are in the outbox and come again.
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

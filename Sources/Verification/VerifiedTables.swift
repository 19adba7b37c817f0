internal import Outbox
internal import Postgres

/// The tables of the databases that can be verified.
struct VerifiedTables: Sendable {
    /// The write model of the demo shop. A table `orders` of another service does not count.
    let hasWriteModel: Bool
    /// The read model `order_summary`.
    let hasSummary: Bool
    /// The tables of projections and their versions.
    let hasProjections: Bool
    /// nil if the write model's database has none.
    let outbox: OutboxTable?

    /// Whether there are tables of the demo shop.
    var hasShop: Bool { hasWriteModel || hasSummary }

    static func find(
        _ configuration: VerificationConfiguration, _ writing: PostgresConnection, _ reading: PostgresConnection
    ) async throws -> VerifiedTables {
        let (written, read) = (try await sets(on: writing), try await sets(on: reading))
        return VerifiedTables(
            hasWriteModel: written.contains("orders"), hasSummary: read.contains("order-summary"),
            hasProjections: read.contains("projections"),
            outbox: try await OutboxTable.find(configuration.outbox, failed: configuration.failedOutbox, on: writing))
    }

    /// The migration sets with applied files.
    private static func sets(on connection: PostgresConnection) async throws -> Set<String> {
        let exists = try await connection.execute("SELECT to_regclass('millrace_migrations') IS NOT NULL")
        guard try exists.bool(0, 0) else { return [] }
        let rows = try await connection.execute("SELECT DISTINCT set FROM millrace_migrations")
        return Set(try (0..<rows.rowCount).map { try rows.string($0, 0) })
    }
}

import Postgres
import TestKit

/// A schema with the shop's tables and the outbox.
enum ShopDatabase {
    static func with<Result>(_ body: (PostgresConfiguration) async throws -> Result) async throws -> Result {
        try await TestDatabase.withSchema(migrating: ["outbox", "orders"], body)
    }
}

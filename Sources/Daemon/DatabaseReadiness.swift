internal import Logging
internal import Migrations
internal import Postgres
internal import StreamCore

/// Checks before a daemon works that the database answers and has the schema that this program requires.
struct DatabaseReadiness {
    let postgres: PostgresConfiguration
    let catalog: MigrationCatalog
    let migrationSets: [String]
    let logger: Logger
    /// Further checks. They return notes.
    var inspect: @Sendable (PostgresConnection) async throws -> [String] = { _ in [] }

    /// Waits until the database answers, and then checks the schema.
    ///
    /// - Parameter onTurn: called after each attempt, including failed ones.
    /// - Throws: `MigrationError` if the schema lacks migrations, `MissingRight` if the user may not see them,
    ///   `PostgresError` if waiting does not help, `CancellationError`.
    func pass(onTurn: @Sendable () -> Void = {}) async throws {
        var backoff = Backoff(initial: .milliseconds(100), ceiling: .seconds(5))
        var lines = RareLines()
        while true {
            do {
                defer { onTurn() }
                for note in try await check() { logger.notice("\(note)") }
                if lines.end("away") { logger.notice("the database answers") }
                return
            } catch let error as PostgresError where error.kind == .transient {
                try Task.checkCancellation()
                if lines.isDue("away", .now) {
                    logger.warning("waiting for the database", metadata: ["error": "\(error)"])
                }
                try await Task.sleep(for: backoff.next())
            }
        }
    }

    /// Makes one attempt.
    ///
    /// - Returns: notes about a schema that is newer than this program, and the notes of ``inspect``.
    func check() async throws -> [String] {
        try await PostgresConnection.with(postgres) { connection in
            try await SchemaCheck.require(
                migrationSets, in: postgres.schema, on: connection, catalog: catalog) + inspect(connection)
        }
    }
}

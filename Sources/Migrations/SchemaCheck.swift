public import Postgres

/// Checks the schema before a daemon starts. It never changes the schema.
public enum SchemaCheck {
    /// Requires that all migrations of the sets in this program are applied.
    ///
    /// - Parameter schema: the schema that the session's unqualified names refer to.
    /// - Returns: a note for each set of which the database has more migrations than this program. A newer schema is
    ///   accepted, because migrations must stay compatible with older programs.
    /// - Throws: ``MigrationError/Code-swift.enum/schemaTooOld``, or `MissingRight`, for which a
    ///   daemon exits with 78; `PostgresError`.
    @discardableResult
    public static func require(
        _ sets: [String], in schema: String, on connection: PostgresConnection, catalog: MigrationCatalog = .embedded
    ) async throws -> [String] {
        let history = try await MigrationHistory.readIfPresent(connection, schema: schema)
        var missing: [Migration] = []
        var notes: [String] = []
        for set in sets {
            let migrations = try catalog.migrations(of: set)
            missing += migrations.filter { history[$0] == nil }
            let newest = history.entries.keys.filter { $0.set == set }.map(\.number).max() ?? 0
            if newest > migrations.count {
                notes.append(
                    """
                    the database has migration \(newest) of set \(set); this program is older and knows migrations \
                    up to \(migrations.count)
                    """)
            }
        }
        guard missing.isEmpty else {
            let list = missing.map(\.description).joined(separator: ", ")
            let arguments = Set(missing.map(\.set)).sorted().map { " --set \($0)" }.joined()
            // `millrace` has only the sets of this package.
            let isOurs = missing.allSatisfy { MigrationCatalog.embedded.sets.contains($0.set) }
            let remedy = isOurs ? "millrace migrate up\(arguments)" : "this program once with --migrate"
            throw MigrationError(.schemaTooOld, "the database schema lacks \(list); run \(remedy)")
        }
        return notes
    }
}

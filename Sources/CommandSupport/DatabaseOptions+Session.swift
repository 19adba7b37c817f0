package import Postgres

extension DatabaseOptions {
    /// Runs `body` with a database session, and explains errors of the database.
    ///
    /// - Parameters:
    ///   - name: the name of the session in `pg_stat_activity`.
    ///   - tables: the content of the tables, and the migration sets that create them.
    ///   - explain: returns the command's explanation of an error; nil if it has none.
    package func withSession<Result>(
        named name: String, statementTimeoutMs: Int? = nil, tables: (of: String, sets: [String]),
        explain: (any Error) -> CommandFailure? = { _ in nil },
        _ body: (PostgresConnection) async throws -> Result
    ) async throws -> Result {
        // Reading also works on a standby. A change reports an error there.
        var configuration = try configuration(applicationName: name, access: .any)
        if let statementTimeoutMs { configuration.statementTimeoutMs = statementTimeoutMs }
        let connection = try await PostgresConnection.connect(configuration)
        do {
            let result = try await body(connection)
            await connection.close()
            return result
        } catch {
            let missing = await MissingRight.behind(error, in: configuration.schema, on: connection)
            await connection.close()
            if let missing { throw missing }
            if let failure = explain(error) { throw failure }
            guard let error = error as? PostgresError, ["42P01", "42703", "3F000"].contains(error.sqlState?.code)
            else { throw error }
            let remedy = tables.sets.map { "`millrace migrate up --set \($0)`" }.joined(separator: " or ")
            throw CommandFailure(
                "\(error.description). The database lacks tables or columns of \(tables.of): run "
                    + "\(remedy).", .configuration)
        }
    }
}

internal import Postgres

/// Deletes answers whose retention time is over, in batches.
struct AnswerPruner {
    let postgres: PostgresConfiguration
    let keptHours: Int
    let intervalS: Int
    let telemetry: CommandTelemetry

    private static let limit = 5_000

    /// Deletes old answers at each interval, until the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            do { telemetry.pruned(try await pass()) } catch {
                if !Task.isCancelled { telemetry.cannotPrune(error) }
            }
            // A cancellation ends the sleep early, and then the loop.
            try? await Task.sleep(for: .seconds(intervalS))
        }
    }

    /// Deletes all answers whose retention time is over.
    func pass() async throws -> Int {
        try await PostgresConnection.with(postgres) { connection in
            var total = 0
            while true {
                var parameters = Parameters()
                parameters.append(Int32(keptHours))
                parameters.append(Int32(Self.limit))
                let deleted = try await connection.execute(Self.deletion, parameters).affectedRows
                total += deleted
                if deleted < Self.limit { return total }
            }
        }
    }

    private static let deletion: Statement = """
        DELETE FROM command_answers AS a
        USING (
            SELECT scope, key FROM command_answers
            WHERE created_at < now() - make_interval(hours => $1) ORDER BY created_at LIMIT $2
        ) AS old
        WHERE a.scope = old.scope AND a.key = old.key
        """
}

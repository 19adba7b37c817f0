internal import Postgres

/// Limits the number and the duration of reads.
struct ReadPoolConfiguration: Sendable {
    /// Number of database sessions. If there is more than one, the first runs only quick reads.
    var connections = 4
    /// Maximum cost of the quick reads that share a round trip, in reads of one row.
    var batchLimit = 16
    /// Maximum number of reads that wait.
    var maxQueued = 2_000
    /// Maximum time that a read waits for a connection, in milliseconds.
    var queueTimeoutMs = 2_000
    /// Maximum time of a statement, in milliseconds.
    var statementTimeoutMs = 5_000

    /// The settings of a session for reads.
    ///
    /// PostgreSQL prepares and plans each statement once. The texts are written so that one plan suits all values, and
    /// a new plan costs more than reading an order. A bitmap scan would read all orders of a customer to find the
    /// latest ones. Just-in-time compilation only helps queries that take seconds.
    func session(_ postgres: PostgresConfiguration) -> PostgresConfiguration {
        var session = postgres
        session.statementTimeoutMs = statementTimeoutMs
        session.lockTimeoutMs = min(postgres.lockTimeoutMs, statementTimeoutMs)
        let own = [
            "default_transaction_read_only": "on", "plan_cache_mode": "force_generic_plan", "enable_bitmapscan": "off",
            "jit": "off",
        ]
        session.settings.merge(own) { given, _ in given }
        return session
    }
}

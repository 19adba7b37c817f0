internal import Postgres

/// How many reads go to the database at once, and for how long.
struct ReadPoolConfiguration: Sendable {
    /// Sessions of the database; with more than one, the first takes only quick reads.
    var connections = 4
    /// What the quick reads that share a round trip take at most, in reads of one row.
    var batchLimit = 16
    /// Reads that wait, at most.
    var maxQueued = 2_000
    /// Milliseconds that a read waits for a connection, at most.
    var queueTimeoutMs = 2_000
    /// Milliseconds that a read runs, at most.
    var statementTimeoutMs = 5_000

    /// A session for reads.
    ///
    /// Statements are prepared once and planned once: their texts are made so that one plan suits all values, and
    /// planning anew costs more than reading an order. A bitmap scan would read all of a customer's orders to find the
    /// latest ones; compiling is for queries of seconds.
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

internal import CoreMetrics
internal import Logging
internal import Operations
internal import Postgres
internal import ServiceLifecycle
internal import StreamCore

/// Reports once a minute how many rows of the daemon's tables are dead. It uses PostgreSQL's statistics, so it reads no
/// table.
struct TableStatistics: Service {
    let tables: MeasuredTables
    let postgres: PostgresConfiguration
    let logger: Logger
    let health: HealthRegistry
    let stallAfter: Duration

    static let help: [String: String] = [
        "millrace_table_dead_rows":
            "Rows of a table that were deleted or replaced, and whose space is not free yet.",
        "millrace_table_live_rows": "Rows of a table, as PostgreSQL estimates them.",
        "millrace_table_bytes": "Size of a table on disk, without its indexes.",
    ]

    private static let interval = Duration.seconds(60)

    /// The gauges of one table.
    private struct Gauges {
        let dead: Gauge
        let live: Gauge
        let bytes: Gauge

        init(_ table: String) {
            let dimensions = [("table", table)]
            dead = Gauge(label: "millrace_table_dead_rows", dimensions: dimensions)
            live = Gauge(label: "millrace_table_live_rows", dimensions: dimensions)
            bytes = Gauge(label: "millrace_table_bytes", dimensions: dimensions)
        }

        func destroy() {
            for gauge in [dead, live, bytes] { gauge.destroy() }
        }
    }

    /// PostgreSQL's statistics of one table.
    struct Numbers: Sendable, Equatable {
        let dead: Int64
        let live: Int64
        let bytes: Int64
    }

    func run() async throws {
        // A service that returns ends the daemon.
        guard !tables.isEmpty else { return try await gracefulShutdown() }
        await cancelWhenGracefulShutdown { await measureUntilCancelled() }
    }

    private func measureUntilCancelled() async {
        let loop = health.watch(.loop, "statistics loop", limit: stallAfter + Self.interval)
        loop.turned(to: .working)
        defer { loop.end() }
        var gauges: [String: Gauges] = [:]
        // The database may not answer yet at the start.
        var retries = Backoff(initial: .seconds(1), ceiling: Self.interval)
        while !Task.isCancelled {
            var wait = Self.interval
            do {
                let numbers = try await measure()
                retries.reset()
                for (table, gauges) in gauges where numbers[table] == nil { gauges.destroy() }
                gauges = gauges.filter { numbers[$0.key] != nil }
                for (table, numbers) in numbers {
                    let own = gauges[table] ?? Gauges(table)
                    gauges[table] = own
                    own.dead.record(numbers.dead)
                    own.live.record(numbers.live)
                    own.bytes.record(numbers.bytes)
                }
            } catch {
                logger.debug("the tables cannot be measured now", metadata: ["error": "\(error)"])
                // An old number would look like a current one.
                for table in gauges.values { table.destroy() }
                gauges = [:]
                wait = retries.next()
            }
            loop.progressed()
            try? await Task.sleep(for: wait)
        }
    }

    func measure() async throws -> [String: Numbers] {
        var configuration = postgres
        configuration.access = .any
        configuration.statementTimeoutMs = 5_000
        configuration.lockTimeoutMs = 500
        return try await PostgresConnection.with(configuration) { connection in
            var names = TextArray()
            for name in tables.names { names.append(name) }
            let result = try await connection.execute(statement, Parameters { $0.append(names) })
            var numbers: [String: Numbers] = [:]
            for row in 0..<result.rowCount {
                numbers[try result.string(row, 0)] = Numbers(
                    dead: try result.int64(row, 1), live: try result.int64(row, 2), bytes: try result.int64(row, 3))
            }
            return numbers
        }
    }

    /// A table and its partitions are measured together.
    private var statement: Statement {
        let schemas =
            tables.schemas.map {
                """
                UNION SELECT n.nspname || '.' || c.relname, c.oid FROM pg_class AS c
                JOIN pg_namespace AS n ON n.oid = c.relnamespace
                WHERE n.nspname IN (\($0)) AND c.relkind IN ('r', 'p') AND NOT c.relispartition
                """
            } ?? ""
        return Statement(
            """
            WITH named AS (
                SELECT name, to_regclass(name)::oid AS oid FROM unnest($1::text[]) AS name
                \(schemas)
            ), parts AS (
                SELECT n.name, coalesce(p.relid, n.oid) AS oid
                FROM named AS n LEFT JOIN pg_partition_tree(n.oid) AS p ON p.isleaf
                WHERE n.oid IS NOT NULL
            )
            SELECT name, coalesce(sum(pg_stat_get_dead_tuples(oid)), 0)::bigint,
                coalesce(sum(pg_stat_get_live_tuples(oid)), 0)::bigint,
                coalesce(sum(pg_relation_size(oid)), 0)::bigint
            FROM parts GROUP BY name
            """)
    }
}

internal import Postgres

/// The statements that read a dashboard. They share one round trip and, because of the session's isolation level, one
/// snapshot.
enum DashboardStatements {
    private static let counts = [
        "orders_created", "orders_confirmed", "orders_paid", "orders_delivered", "orders_cancelled",
        "payments_completed", "payments_failed", "payments_refunded", "revenue", "refunds",
    ]

    /// The counts by currency and bucket: resolution `$1`, from `$2` up to but not including `$3`.
    static let series = Statement(
        """
        SELECT currency, bucket, \(counts.joined(separator: ", "))
        FROM dashboard_counters WHERE resolution = $1 AND bucket >= $2 AND bucket < $3 ORDER BY currency, bucket
        """)

    /// The sums of these counts by currency.
    static let totals = Statement(
        """
        SELECT currency, \(counts.map { "sum(\($0))::\(isAmount($0) ? "numeric" : "bigint")" }.joined(separator: ", "))
        FROM dashboard_counters WHERE resolution = $1 AND bucket >= $2 AND bucket < $3
        GROUP BY currency ORDER BY currency
        """)

    private static func isAmount(_ column: String) -> Bool { column == "revenue" || column == "refunds" }

    static let statuses: Statement = "SELECT status, orders FROM dashboard_statuses ORDER BY status"

    /// The best products of the days from `$1` to `$2`: for each currency the ten with the most revenue, and the ten
    /// with the most units in all currencies together. The latter have a row for each of their currencies.
    static let topProducts: Statement = """
        WITH sold AS (
            SELECT product_id, currency, max(name) AS name, sum(units)::bigint AS units, sum(revenue) AS revenue
            FROM dashboard_products WHERE day BETWEEN $1 AND $2 GROUP BY product_id, currency
        ), summed AS (
            SELECT *, row_number() OVER (PARTITION BY currency ORDER BY revenue DESC, product_id) AS by_revenue,
                sum(units) OVER (PARTITION BY product_id) AS all_units
            FROM sold
        ), ranked AS (
            SELECT *, dense_rank() OVER (ORDER BY all_units DESC, product_id) AS by_units FROM summed
        )
        SELECT product_id, name, currency, units, revenue FROM ranked WHERE by_revenue <= 10 OR by_units <= 10
        ORDER BY currency, revenue DESC, product_id
        """

    /// The numbers of orders by step and bin, for the days from `$1` to `$2`.
    static let durations: Statement = """
        SELECT step, at_least_ms, max(below_ms), sum(orders)::bigint
        FROM dashboard_durations WHERE day BETWEEN $1 AND $2 GROUP BY step, at_least_ms ORDER BY step, at_least_ms
        """

    /// The ten orders that were created last. Open and closed orders are read separately, because the index separates
    /// them.
    static let latestOrders: Statement = {
        let columns = "order_id, customer_id, status, item_count, total_amount, currency, created_at, updated_at"
        let order = "ORDER BY created_at DESC, order_id DESC LIMIT 10"
        let pages = ["is_open", "NOT is_open"].map {
            "(SELECT \(columns) FROM order_summary WHERE created_at IS NOT NULL AND \($0) \(order))"
        }
        return Statement("SELECT * FROM (\(pages.joined(separator: " UNION ALL "))) AS latest \(order)")
    }()

    /// Changes with every batch that any projection commits.
    static let progress: Statement = "SELECT coalesce(sum(next_offset), 0)::bigint FROM projection_offsets"

    /// The settings of a session for these statements.
    static func session(_ postgres: PostgresConfiguration, statementTimeoutMs: Int) -> PostgresConfiguration {
        var session = postgres
        session.statementTimeoutMs = statementTimeoutMs
        let own = [
            "default_transaction_read_only": "on", "default_transaction_isolation": "repeatable read",
            "plan_cache_mode": "force_generic_plan", "jit": "off",
        ]
        session.settings.merge(own) { given, _ in given }
        return session
    }
}

/// What the dashboard's views must hold, said in SQL of the write model.
struct DashboardExpectation {
    /// The view's name.
    let view: String
    /// Its columns in the order of ``rows``.
    let columns: [String]
    /// Which of them are sums of money, whose zeros at the end say nothing.
    let amounts: Set<String>
    /// The rows that it must have.
    let rows: String

    private init(_ view: String, _ columns: String, amounts: Set<String> = [], rows: String) {
        self.view = view
        self.columns = columns.split(separator: " ").map(String.init)
        self.amounts = amounts
        self.rows = rows
    }

    static let all = [
        DashboardExpectation(
            "dashboard_counters",
            """
            resolution bucket currency orders_created orders_confirmed orders_paid orders_delivered orders_cancelled \
            payments_completed payments_failed payments_refunded revenue refunds
            """, amounts: ["revenue", "refunds"], rows: counters),
        DashboardExpectation("dashboard_statuses", "status orders", rows: statuses),
        DashboardExpectation(
            "dashboard_products", "day currency product_id name units revenue", amounts: ["revenue"], rows: products),
        DashboardExpectation(
            "dashboard_customers", "customer_id currency orders cancelled spent refunded last_order_at",
            amounts: ["spent", "refunded"], rows: customers),
        DashboardExpectation("dashboard_durations", "day step at_least_ms below_ms orders", rows: durations),
    ]

    /// Each order's latest events of a kind, by the rules of the read model order_summary.
    private static let orders = """
        SELECT o.*, first.paid_at, first.shipped_at,
            CASE WHEN delivered.shipment_id = shipped.shipment_id OR delivered.delivered_at >= shipped.created_at
                THEN delivered.delivered_at END AS delivered_at,
            shipped.shipment_id IS NOT NULL AS is_shipped,
            paid.payment_id IS NOT NULL AND (refunded.payment_id IS NULL
                OR refunded.payment_id <> paid.payment_id AND refunded.refunded_at < paid.completed_at) AS is_paid
        FROM orders AS o
        CROSS JOIN LATERAL (
            SELECT (SELECT min(completed_at) FROM payments AS p WHERE p.order_id = o.order_id) AS paid_at,
                (SELECT min(created_at) FROM shipments AS s WHERE s.order_id = o.order_id) AS shipped_at) AS first
        LEFT JOIN LATERAL (
            SELECT * FROM payments AS p WHERE p.order_id = o.order_id AND completed_at IS NOT NULL
            ORDER BY completed_at DESC, completed_event_id DESC LIMIT 1) AS paid ON true
        LEFT JOIN LATERAL (
            SELECT * FROM payments AS p WHERE p.order_id = o.order_id AND refunded_at IS NOT NULL
            ORDER BY refunded_at DESC, refunded_event_id DESC LIMIT 1) AS refunded ON true
        LEFT JOIN LATERAL (
            SELECT * FROM shipments AS s WHERE s.order_id = o.order_id
            ORDER BY created_at DESC, created_event_id DESC LIMIT 1) AS shipped ON true
        LEFT JOIN LATERAL (
            SELECT * FROM shipments AS s WHERE s.order_id = o.order_id AND delivered_at IS NOT NULL
            ORDER BY delivered_at DESC, delivered_event_id DESC LIMIT 1) AS delivered ON true
        """

    private static let counters = """
        SELECT resolution, date_trunc(resolution, at, 'UTC'), currency,
            count(*) FILTER (WHERE kind = 'created'), count(*) FILTER (WHERE kind = 'confirmed'),
            count(*) FILTER (WHERE kind = 'paid'), count(*) FILTER (WHERE kind = 'delivered'),
            count(*) FILTER (WHERE kind = 'cancelled'), count(*) FILTER (WHERE kind = 'completed'),
            count(*) FILTER (WHERE kind = 'failed'), count(*) FILTER (WHERE kind = 'refunded'),
            coalesce(sum(amount) FILTER (WHERE kind = 'completed'), 0),
            coalesce(sum(amount) FILTER (WHERE kind = 'refunded'), 0)
        FROM unnest(ARRAY['minute', 'hour', 'day']) AS resolution, (
            SELECT kind, at, currency, 0::numeric AS amount FROM (\(orders)) AS o,
                LATERAL (VALUES ('created', created_at), ('confirmed', confirmed_at), ('paid', paid_at),
                    ('delivered', delivered_at), ('cancelled', cancelled_at)) AS moments (kind, at)
            UNION ALL
            SELECT kind, at, currency, amount FROM payments,
                LATERAL (VALUES ('completed', completed_at), ('failed', failed_at), ('refunded', refunded_at))
                    AS moments (kind, at)
        ) AS happened
        WHERE at IS NOT NULL GROUP BY 1, 2, 3
        """

    private static let statuses = """
        SELECT CASE WHEN status = 'cancelled' THEN 'cancelled' WHEN delivered_at IS NOT NULL THEN 'delivered'
            WHEN is_shipped THEN 'shipped' WHEN is_paid THEN 'paid' ELSE status END, count(*)
        FROM (\(orders)) AS o GROUP BY 1
        """

    private static let products = """
        SELECT (paid_at AT TIME ZONE 'UTC')::date, currency, product_id, max(name), sum(quantity)::bigint,
            sum(quantity * unit_price)
        FROM (\(orders)) AS o JOIN order_items USING (order_id) WHERE paid_at IS NOT NULL GROUP BY 1, 2, 3
        """

    private static let customers = """
        SELECT customer_id, currency, count(*), count(*) FILTER (WHERE status = 'cancelled'),
            coalesce(sum(spent), 0), coalesce(sum(refunded), 0), max(created_at)
        FROM orders LEFT JOIN (
            SELECT order_id, sum(amount) FILTER (WHERE completed_at IS NOT NULL) AS spent,
                sum(amount) FILTER (WHERE refunded_at IS NOT NULL) AS refunded
            FROM payments GROUP BY order_id) AS paid USING (order_id)
        GROUP BY 1, 2
        """

    private static let durations = """
        SELECT (at AT TIME ZONE 'UTC')::date, step, ms / width * width, ms / width * width + width, count(*)
        FROM (\(orders)) AS o,
            LATERAL (VALUES ('paid', paid_at), ('shipped', shipped_at), ('delivered', delivered_at))
                AS steps (step, at),
            LATERAL (SELECT floor(extract(epoch FROM at - created_at) * 1000)::bigint AS ms) AS elapsed,
            LATERAL (SELECT CASE WHEN ms < 32 THEN 1
                ELSE 1::bigint << (length(ltrim(ms::bit(62)::text, '0')) - 5) END AS width) AS bin
        WHERE at IS NOT NULL GROUP BY 1, 2, 3, 4
        """
}

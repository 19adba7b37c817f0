internal import Postgres

/// The statements of the read model.
enum DashboardStatements {
    /// Selects the OIDs of the types that records contain.
    static let types = Statement(
        "SELECT 'dashboard_order_rows'::regtype::oid::int8, 'dashboard_order_rows[]'::regtype::oid::int8")

    /// Locks and reads existing orders in the given order.
    static let lockOrders = lockOrders(orFail: false)
    /// Like ``lockOrders``, but fails if another transaction has locked one of them.
    static let lockOrdersOrFail = lockOrders(orFail: true)

    /// OFFSET 0 prevents the planner from reordering the join. The planner does not know the number of ids, and an
    /// index scan for each id is the right plan.
    private static func lockOrders(orFail: Bool) -> Statement {
        Statement(
            """
            SELECT id.place, o.*
            FROM unnest($1::text[]) WITH ORDINALITY AS id (order_id, place)
            CROSS JOIN LATERAL (
                SELECT created_at, created_event_id, customer_id, currency, created_sequence,
                    confirmed_at, confirmed_sequence, cancelled_at, cancelled_sequence,
                    first_shipped_at, lines, payments, shipments
                FROM dashboard_order_rows WHERE order_id = id.order_id
                OFFSET 0
                FOR NO KEY UPDATE\(orFail ? " NOWAIT" : "")
            ) AS o
            """)
    }

    /// Inserts the rows of new orders in the given order, and returns their ids. It waits for transactions that insert
    /// the same rows, and does not return rows that others have inserted.
    static let makeOrders = Statement(
        """
        INSERT INTO dashboard_order_rows SELECT * FROM unnest($1::dashboard_order_rows[])
        ON CONFLICT DO NOTHING RETURNING order_id
        """)

    /// Takes the lowest free lane until the end of the transaction. Returns no row if all lanes are taken. The OID of
    /// the table makes the locks specific to this schema.
    static let takeLane = Statement(
        """
        SELECT lane FROM generate_series(0, $1 - 1) AS lane
        WHERE pg_try_advisory_xact_lock('dashboard_counter_rows'::regclass::oid::int, lane)
        LIMIT 1
        """)

    /// Waits for a lane. The process id of the session selects the lane.
    static let awaitLane = Statement(
        """
        SELECT lane FROM (SELECT pg_backend_pid() % $1 AS lane OFFSET 0) AS own,
            pg_advisory_xact_lock('dashboard_counter_rows'::regclass::oid::int, lane)
        """)

    /// Updates the rows, which exist and are locked. NULL in lines, payments or shipments means that they are
    /// unchanged.
    static let writeOrders = Statement(
        """
        INSERT INTO dashboard_order_rows AS o (\(columns)) SELECT \(columns) FROM unnest($1::dashboard_order_rows[])
        ON CONFLICT (order_id) DO UPDATE SET
            created_at = EXCLUDED.created_at, created_event_id = EXCLUDED.created_event_id,
            customer_id = EXCLUDED.customer_id, currency = EXCLUDED.currency,
            created_sequence = EXCLUDED.created_sequence,
            confirmed_at = EXCLUDED.confirmed_at, confirmed_sequence = EXCLUDED.confirmed_sequence,
            cancelled_at = EXCLUDED.cancelled_at, cancelled_sequence = EXCLUDED.cancelled_sequence,
            first_shipped_at = EXCLUDED.first_shipped_at,
            lines = COALESCE(EXCLUDED.lines, o.lines), payments = COALESCE(EXCLUDED.payments, o.payments),
            shipments = COALESCE(EXCLUDED.shipments, o.shipments)
        """)

    static let forgetOrders = Statement("DELETE FROM dashboard_order_rows WHERE order_id = ANY ($1::text[])")

    private static let columns = """
        order_id, created_at, created_event_id, customer_id, currency, confirmed_at, cancelled_at, first_shipped_at,
        lines, payments, created_sequence, confirmed_sequence, cancelled_sequence, shipments
        """

    static let addCounters = Statement(
        """
        INSERT INTO dashboard_counter_rows AS c (
            resolution, bucket, currency, lane, orders_created, orders_confirmed, orders_paid, orders_delivered,
            orders_cancelled, payments_completed, payments_failed, payments_refunded, revenue, refunds)
        SELECT n.resolution, n.bucket, n.currency, $1::smallint, n.created, n.confirmed, n.paid, n.delivered,
            n.cancelled, n.completed, n.failed, n.refunded, n.revenue, n.refunds
        FROM unnest($2::text[], $3::timestamptz[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[],
                $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::numeric[], $14::numeric[])
            AS n (resolution, bucket, currency, created, confirmed, paid, delivered, cancelled, completed, failed,
                refunded, revenue, refunds)
        WHERE NOT EXISTS (
            SELECT FROM dashboard_horizon_rows AS h WHERE h.resolution = n.resolution AND n.bucket < h.kept_from)
        ON CONFLICT (resolution, bucket, currency, lane) DO UPDATE SET
            orders_created = c.orders_created + EXCLUDED.orders_created,
            orders_confirmed = c.orders_confirmed + EXCLUDED.orders_confirmed,
            orders_paid = c.orders_paid + EXCLUDED.orders_paid,
            orders_delivered = c.orders_delivered + EXCLUDED.orders_delivered,
            orders_cancelled = c.orders_cancelled + EXCLUDED.orders_cancelled,
            payments_completed = c.payments_completed + EXCLUDED.payments_completed,
            payments_failed = c.payments_failed + EXCLUDED.payments_failed,
            payments_refunded = c.payments_refunded + EXCLUDED.payments_refunded,
            revenue = c.revenue + EXCLUDED.revenue, refunds = c.refunds + EXCLUDED.refunds
        """)

    static let addStatuses = Statement(
        """
        INSERT INTO dashboard_status_rows AS s (status, lane, orders)
        SELECT n.status, $1::smallint, n.orders FROM unnest($2::text[], $3::bigint[]) AS n (status, orders)
        ON CONFLICT (status, lane) DO UPDATE SET orders = s.orders + EXCLUDED.orders
        """)

    static let addProducts = Statement(
        """
        INSERT INTO dashboard_product_rows AS p (day, currency, product_id, lane, name, units, revenue)
        SELECT n.day, n.currency, n.product_id, $1::smallint, n.name, n.units, n.revenue
        FROM unnest($2::date[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::numeric[])
            AS n (day, currency, product_id, name, units, revenue)
        ON CONFLICT (day, currency, product_id, lane) DO UPDATE SET
            name = GREATEST(p.name, EXCLUDED.name), units = p.units + EXCLUDED.units,
            revenue = p.revenue + EXCLUDED.revenue
        """)

    static let addCustomers = Statement(
        """
        INSERT INTO dashboard_customer_rows AS c (
            customer_id, currency, lane, orders, cancelled, spent, refunded, last_order_at)
        SELECT n.customer_id, n.currency, $1::smallint, n.orders, n.cancelled, n.spent, n.refunded, n.last_order_at
        FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::numeric[], $7::numeric[],
                $8::timestamptz[])
            AS n (customer_id, currency, orders, cancelled, spent, refunded, last_order_at)
        ON CONFLICT (customer_id, currency, lane) DO UPDATE SET
            orders = c.orders + EXCLUDED.orders, cancelled = c.cancelled + EXCLUDED.cancelled,
            spent = c.spent + EXCLUDED.spent, refunded = c.refunded + EXCLUDED.refunded,
            last_order_at = GREATEST(c.last_order_at, EXCLUDED.last_order_at)
        """)

    static let addDurations = Statement(
        """
        INSERT INTO dashboard_duration_rows AS d (day, step, at_least_ms, lane, below_ms, orders)
        SELECT n.day, n.step, n.at_least_ms, $1::smallint, n.below_ms, n.orders
        FROM unnest($2::date[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])
            AS n (day, step, at_least_ms, below_ms, orders)
        ON CONFLICT (day, step, at_least_ms, lane) DO UPDATE SET orders = d.orders + EXCLUDED.orders
        """)
}

internal import Postgres

/// The statements that read orders and customers by the array `$1` of their ids. All statements for orders begin with
/// the same columns, which `OrderJSON` writes. If one statement may read for several requests, its last column is the
/// position in `$1`.
enum OrderStatements {
    /// The columns of the view `order_summary`, in the order of `OrderJSON.Column`.
    static let columns = """
        order_id, customer_id, status, payment_status, shipment_status, is_open, item_count, total_amount, currency,
        items, shipping_address, cancellation_reason, cancelled_by, cancelled_at, payment_id, payment_amount,
        payment_currency, payment_method, paid_at, failed_payment_id, payment_failure_reason, payment_failed_at,
        refund_amount, refund_currency, refund_reason, refunded_at, shipment_id, carrier, tracking_number, shipped_at,
        delivered_at, created_at, confirmed_at, updated_at, version, last_event_id
        """

    /// Reads orders.
    static let byID = Statement(
        "SELECT \(columns), array_position($1::text[], order_id) FROM order_summary WHERE order_id = ANY($1)")

    /// Reads those of the orders `$1` that have the versions `$2` or later ones.
    static let reached = Statement(
        """
        SELECT \(columns) FROM order_summary JOIN unnest($1::text[], $2::bigint[]) AS w (wanted, least)
            ON order_id = wanted AND version >= least
        """)

    /// Reads the amounts that customers ordered and paid, by currency.
    static let customer: Statement = """
        SELECT currency, orders, cancelled, spent, refunded, last_order_at, array_position($1::text[], customer_id)
        FROM dashboard_customers WHERE customer_id = ANY($1) ORDER BY customer_id, currency
        """

    /// Reads orders from the write model (migration set `orders`) by the rules of the read model: of several payments
    /// or shipments, the one with the latest event of a kind is shown. The statement does not compute the statuses.
    /// After the columns, it returns the facts from which `OrderJSON.Statuses` computes them.
    static let byIDFromWriteModel = Statement(
        """
        SELECT
            o.order_id, o.customer_id,
            NULL, NULL, NULL, NULL,
            items.pieces, items.total, o.currency, items.lines, o.shipping_address::jsonb,
            o.cancel_reason, o.cancelled_by, o.cancelled_at,
            coalesce(paid.payment_id, refunded.payment_id, failed.payment_id), paid.amount, paid.currency, paid.method,
            paid.completed_at, failed.payment_id, failed.failure_reason, failed.failed_at,
            refunded.last_refund, refunded.currency, refunded.refund_reason, refunded.refunded_at,
            shipped.shipment_id, shipped.carrier, shipped.tracking_number, shipped.created_at, delivered.delivered_at,
            o.created_at, o.confirmed_at, latest.at, o.version, latest.event_id,
            o.status = 'cancelled', paid.payment_id IS NOT NULL, money.unrefunded > 0,
            refunded.payment_id IS NOT NULL, failed.payment_id IS NOT NULL, parcels.known, parcels.delivered,
            array_position($1::text[], o.order_id)
        FROM orders AS o
        LEFT JOIN LATERAL (
            SELECT * FROM payments AS p WHERE p.order_id = o.order_id AND completed_at IS NOT NULL
            ORDER BY completed_at DESC, completed_event_id DESC LIMIT 1) AS paid ON true
        LEFT JOIN LATERAL (
            SELECT * FROM payments AS p WHERE p.order_id = o.order_id AND failed_at IS NOT NULL
            ORDER BY failed_at DESC, failed_event_id DESC LIMIT 1) AS failed ON true
        LEFT JOIN LATERAL (
            SELECT p.*, coalesce((
                SELECT r.amount FROM payment_refunds AS r WHERE r.payment_id = p.payment_id
                ORDER BY r.sequence DESC LIMIT 1), p.amount) AS last_refund
            FROM payments AS p WHERE p.order_id = o.order_id AND refunded_at IS NOT NULL
            ORDER BY refunded_at DESC, refunded_event_id DESC LIMIT 1) AS refunded ON true
        LEFT JOIN LATERAL (
            SELECT * FROM shipments AS s WHERE s.order_id = o.order_id
            ORDER BY created_at DESC, created_event_id DESC LIMIT 1) AS shipped ON true
        LEFT JOIN LATERAL (
            SELECT * FROM shipments AS s WHERE s.order_id = o.order_id AND delivered_at IS NOT NULL
            ORDER BY delivered_at DESC, delivered_event_id DESC LIMIT 1) AS delivered ON true
        CROSS JOIN LATERAL (
            SELECT count(*) FROM payments AS p
            WHERE p.order_id = o.order_id AND completed_at IS NOT NULL
                AND (refunded_at IS NULL OR refunded_amount < amount)) AS money (unrefunded)
        CROSS JOIN LATERAL (
            SELECT count(*), count(delivered_at)
            FROM shipments AS s WHERE s.order_id = o.order_id) AS parcels (known, delivered)
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(quantity), 0)::bigint AS pieces, coalesce(sum(quantity * unit_price), 0) AS total,
                coalesce(jsonb_agg(jsonb_build_object('productId', product_id, 'name', name, 'quantity', quantity,
                    'unitPrice', unit_price::text) ORDER BY product_id COLLATE "C"), '[]') AS lines
            FROM order_items AS i WHERE i.order_id = o.order_id) AS items
        CROSS JOIN LATERAL (
            SELECT at, event_id FROM (
                SELECT o.updated_at, o.last_event_id
                UNION ALL SELECT updated_at, last_event_id FROM payments AS p
                    WHERE p.order_id = o.order_id AND p.status <> 'authorized'
                UNION ALL SELECT updated_at, last_event_id FROM shipments AS s WHERE s.order_id = o.order_id
            ) AS e (at, event_id) ORDER BY at DESC, event_id DESC LIMIT 1) AS latest
        WHERE o.order_id = ANY($1)
        """)
}

internal import Postgres

/// The business columns of `order_summary`, each with what the write model says of it.
///
/// Both sides answer texts: times in UTC to the microsecond, numbers without trailing zeros, JSON in one form.
struct ReadModelColumns {
    let names: [String]

    static let all = ReadModelColumns([
        ("customer_id", "o.customer_id", "customer_id"),
        ("status", statusOfOrder, "status"),
        ("payment_status", statusOfPayment, "payment_status"),
        ("shipment_status", statusOfShipment, "shipment_status"),
        ("item_count", "items.pieces::text", "item_count::text"),
        ("total_amount", number("items.total"), number("total_amount")),
        ("currency", "o.currency", "currency"),
        ("items", "items.lines", actualItems),
        ("shipping_address", "o.shipping_address::jsonb::text", "shipping_address::jsonb::text"),
        ("cancellation_reason", "o.cancel_reason", "cancellation_reason"),
        ("cancelled_by", "o.cancelled_by", "cancelled_by"),
        ("refund_amount", number("refunded.amount"), number("refund_amount")),
        ("refund_currency", "refunded.currency", "refund_currency"),
        ("refund_reason", "refunded.refund_reason", "refund_reason"),
        ("payment_id", "coalesce(paid.payment_id, refunded.payment_id, failed.payment_id)", "payment_id"),
        ("payment_amount", number("paid.amount"), number("payment_amount")),
        ("payment_currency", "paid.currency", "payment_currency"),
        ("payment_method", "paid.method", "payment_method"),
        ("failed_payment_id", "failed.payment_id", "failed_payment_id"),
        ("payment_failure_reason", "failed.failure_reason", "payment_failure_reason"),
        ("shipment_id", "shipped.shipment_id", "shipment_id"),
        ("carrier", "shipped.carrier", "carrier"),
        ("tracking_number", "shipped.tracking_number", "tracking_number"),
        ("created_at", time("o.created_at"), time("created_at")),
        ("confirmed_at", time("o.confirmed_at"), time("confirmed_at")),
        ("cancelled_at", time("o.cancelled_at"), time("cancelled_at")),
        ("paid_at", time("paid.completed_at"), time("paid_at")),
        ("payment_failed_at", time("failed.failed_at"), time("payment_failed_at")),
        ("refunded_at", time("refunded.refunded_at"), time("refunded_at")),
        ("shipped_at", time("shipped.created_at"), time("shipped_at")),
        ("delivered_at", time("delivered.delivered_at"), time("delivered_at")),
        ("updated_at", time("latest.at"), time("updated_at")),
        ("version", "o.version::text", "version::text"),
        ("last_event_id", "latest.event_id::text", "last_event_id::text"),
    ])

    private init(_ columns: [(name: String, expected: String, actual: String)]) {
        names = columns.map(\.name)
        let actual = columns.map(\.actual).joined(separator: ", ")
        readModel = Statement("SELECT order_id, \(actual) FROM order_summary WHERE order_id = ANY($1)")
        let expected = columns.map(\.expected).joined(separator: ", ")
        writeModel = Statement("SELECT o.order_id, \(expected)\n\(Self.facts)")
    }

    private static func time(_ column: String) -> String {
        "to_char(\(column) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
    }

    private static func number(_ column: String) -> String { "trim_scale(\(column))::text" }

    // MARK: the rules of the read model, said of the write model

    /// A refund undoes the payment that it is of, and any older one.
    private static let isRefunded = """
        refunded.payment_id IS NOT NULL AND (paid.payment_id IS NULL OR refunded.payment_id = paid.payment_id
            OR refunded.refunded_at >= paid.completed_at)
        """
    /// The delivery of an earlier shipment does not deliver a later one.
    private static let isDelivered = """
        delivered.shipment_id IS NOT NULL AND (delivered.shipment_id = shipped.shipment_id
            OR delivered.delivered_at >= shipped.created_at)
        """
    private static let statusOfPayment = """
        CASE WHEN \(isRefunded) THEN 'refunded'
            WHEN paid.payment_id IS NOT NULL THEN 'paid'
            WHEN failed.payment_id IS NOT NULL THEN 'failed'
            ELSE 'pending' END
        """
    private static let statusOfShipment = """
        CASE WHEN \(isDelivered) THEN 'delivered' WHEN shipped.shipment_id IS NOT NULL THEN 'shipped'
            ELSE 'pending' END
        """
    private static let statusOfOrder = """
        CASE WHEN o.status = 'cancelled' THEN 'cancelled'
            WHEN \(isDelivered) THEN 'delivered'
            WHEN shipped.shipment_id IS NOT NULL THEN 'shipped'
            WHEN paid.payment_id IS NOT NULL AND NOT (\(isRefunded)) THEN 'paid'
            ELSE o.status END
        """
    private static let actualItems = """
        (SELECT string_agg(concat_ws('|', i ->> 'productId', i ->> 'name', i ->> 'quantity',
                trim_scale((i ->> 'unitPrice')::numeric)), E'\\n' ORDER BY i ->> 'productId' COLLATE "C")
         FROM jsonb_array_elements(items) AS i)
        """

    // MARK: statements

    /// The write model's orders after the one of the id `$1`, `$2` at most.
    static let nextOrders: Statement = "SELECT order_id FROM orders WHERE order_id > $1 ORDER BY order_id LIMIT $2"
    /// The read model's rows after the one of the id `$1`, `$2` at most.
    static let nextRows: Statement =
        "SELECT order_id FROM order_summary WHERE order_id > $1 ORDER BY order_id LIMIT $2"
    /// Those of the ids `$1` that the write model has.
    static let knownOrders: Statement = "SELECT order_id FROM orders WHERE order_id = ANY($1)"

    /// The read model's rows of the ids `$1`: the id, then the columns.
    let readModel: Statement

    /// What these rows must be: the id, then the columns. Of several payments or shipments the one with the latest
    /// event of a kind counts, as in the read model.
    let writeModel: Statement

    private static let facts = """
        FROM orders AS o
        LEFT JOIN LATERAL (
            SELECT * FROM payments AS p WHERE p.order_id = o.order_id AND completed_at IS NOT NULL
            ORDER BY completed_at DESC, completed_event_id DESC LIMIT 1) AS paid ON true
        LEFT JOIN LATERAL (
            SELECT * FROM payments AS p WHERE p.order_id = o.order_id AND failed_at IS NOT NULL
            ORDER BY failed_at DESC, failed_event_id DESC LIMIT 1) AS failed ON true
        LEFT JOIN LATERAL (
            SELECT * FROM payments AS p WHERE p.order_id = o.order_id AND refunded_at IS NOT NULL
            ORDER BY refunded_at DESC, refunded_event_id DESC LIMIT 1) AS refunded ON true
        LEFT JOIN LATERAL (
            SELECT * FROM shipments AS s WHERE s.order_id = o.order_id
            ORDER BY created_at DESC, created_event_id DESC LIMIT 1) AS shipped ON true
        LEFT JOIN LATERAL (
            SELECT * FROM shipments AS s WHERE s.order_id = o.order_id AND delivered_at IS NOT NULL
            ORDER BY delivered_at DESC, delivered_event_id DESC LIMIT 1) AS delivered ON true
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(quantity), 0) AS pieces, coalesce(sum(quantity * unit_price), 0) AS total,
                string_agg(concat_ws('|', product_id, name, quantity, trim_scale(unit_price)), E'\\n'
                    ORDER BY product_id COLLATE "C") AS lines
            FROM order_items AS i WHERE i.order_id = o.order_id) AS items
        CROSS JOIN LATERAL (
            SELECT at, event_id FROM (
                SELECT o.updated_at, o.last_event_id
                UNION ALL SELECT updated_at, last_event_id FROM payments AS p WHERE p.order_id = o.order_id
                UNION ALL SELECT updated_at, last_event_id FROM shipments AS s WHERE s.order_id = o.order_id
            ) AS e(at, event_id) ORDER BY at DESC, event_id DESC LIMIT 1) AS latest
        WHERE o.order_id = ANY($1)
        """
}

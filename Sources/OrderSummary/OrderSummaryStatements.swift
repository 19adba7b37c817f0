internal import Postgres

/// The statements of the read model.
enum OrderSummaryStatements {
    /// Merges one row for each order into the table. A change has the form of a row with fewer facts.
    ///
    /// `o` is the existing row, which is locked at that time, and `EXCLUDED` is the change. If only one of them has a
    /// part, it is taken unchanged. Only parts that both have are merged.
    static let merge = Statement(
        """
        INSERT INTO order_summary_rows AS o (\(columns))
        SELECT \(columns) FROM unnest($1::order_summary_rows[])
        ON CONFLICT (order_id) DO UPDATE SET
            created = \(greater("created", by: "created_sequence")),
            created_sequence = GREATEST(o.created_sequence, EXCLUDED.created_sequence),
            cancelled = \(greater("cancelled", by: "cancelled_sequence")),
            cancelled_sequence = GREATEST(o.cancelled_sequence, EXCLUDED.cancelled_sequence),
            confirmed = GREATEST(o.confirmed, EXCLUDED.confirmed),
            confirmed_at = (GREATEST(o.confirmed, EXCLUDED.confirmed)).at,
            (version, order_changed, items, removed_items, item_count, total_amount,
                payments, payments_changed, paid, failed, refunded, unrefunded_payments,
                shipments, shipments_changed, shipped, delivered, undelivered_shipments,
                updated_at, last_event_id) = (
                SELECT GREATEST(o.version, EXCLUDED.version), own.changed, line.*, payment.*, shipment.*,
                    (latest.changed).at, (latest.changed).event_id
                FROM (SELECT \(greater("order_changed", by: "version")) AS changed) AS own
                CROSS JOIN LATERAL (\(lines)) AS line
                CROSS JOIN LATERAL (\(payments)) AS payment
                CROSS JOIN LATERAL (\(shipments)) AS shipment
                CROSS JOIN LATERAL (
                    SELECT GREATEST(own.changed, payment.payments_changed,
                        shipment.shipments_changed) AS changed) AS latest)
        """)

    /// Deletes a row. It waits for transactions that have locked the row.
    static let forget = Statement("DELETE FROM order_summary_rows WHERE order_id = $1")

    private static let columns = """
        order_id, version, updated_at, last_event_id, confirmed_at, items, removed_items, item_count, total_amount,
        created, cancelled, paid, failed, refunded, shipped, delivered,
        order_changed, payments_changed, shipments_changed, created_sequence, cancelled_sequence, confirmed,
        payments, shipments, unrefunded_payments, undelivered_shipments
        """

    /// The value of `column` from the side with the greater sequence. If the sequences are equal, the greater value
    /// wins.
    private static func greater(_ column: String, by sequence: String) -> String {
        """
        CASE WHEN o.\(sequence) > EXCLUDED.\(sequence) THEN o.\(column)
                WHEN o.\(sequence) < EXCLUDED.\(sequence) THEN EXCLUDED.\(column)
                ELSE GREATEST(o.\(column), EXCLUDED.\(column)) END
        """
    }

    /// The `columns` of the side that has `facts`. If both have them, `merged`, which is not executed otherwise.
    private static func either(_ facts: String, _ columns: [String], orMerged merged: String) -> String {
        func of(_ side: String) -> String { columns.map { "\(side).\($0)" }.joined(separator: ", ") }
        return """
            SELECT \(of("o")) WHERE EXCLUDED.\(facts) IS NULL
            UNION ALL SELECT \(of("EXCLUDED")) WHERE o.\(facts) IS NULL AND EXCLUDED.\(facts) IS NOT NULL
            UNION ALL SELECT * FROM (\(merged)) AS merged WHERE o.\(facts) IS NOT NULL AND EXCLUDED.\(facts) IS NOT NULL
            """
    }

    /// Sorts the events of an aggregate, the last one first.
    private static let lastFirst = "sequence DESC, at DESC, event_id DESC"

    /// The SQL form of `OrderItems.merge`: for each product the entry of the last event, by the rule of
    /// `LineEntry.isBefore`.
    private static let lines = either(
        "items", ["items", "removed_items", "item_count", "total_amount"],
        orMerged: """
            SELECT coalesce(jsonb_agg(entry ORDER BY sequence, product) FILTER (WHERE quantity IS NOT NULL), '[]'),
                jsonb_agg(entry ORDER BY product) FILTER (WHERE quantity IS NULL),
                coalesce(sum(quantity), 0)::bigint, coalesce(sum(quantity * price), 0)
            FROM (
                SELECT DISTINCT ON (product) entry, product, sequence, quantity, price
                FROM (
                    SELECT entry, (entry ->> 'productId') COLLATE "C" AS product,
                        (entry ->> 'sequence')::bigint AS sequence, (entry ->> 'at')::bigint AS at,
                        (entry ->> 'eventId') COLLATE "C" AS event_id, (entry ->> 'quantity')::bigint AS quantity,
                        (entry ->> 'unitPrice')::numeric AS price, (entry ->> 'name') COLLATE "C" AS name
                    FROM jsonb_array_elements(o.items || coalesce(o.removed_items, '[]')
                        || EXCLUDED.items || coalesce(EXCLUDED.removed_items, '[]')) AS element (entry)
                ) AS read
                ORDER BY product, \(lastFirst), quantity DESC NULLS FIRST, price DESC, scale(price) DESC, name DESC
            ) AS last
            """)

    /// The SQL form of `PaymentFacts.merge`, and the payments that are shown.
    private static let payments = either(
        "payments", ["payments", "payments_changed", "paid", "failed", "refunded", "unrefunded_payments"],
        orMerged: """
            SELECT array_agg(fact ORDER BY fact) AS payments,
                \(latest("moment", where: "place_in_payment = 1")) AS changed,
                \(latest("shown", where: "fate = 'completed'")) AS paid,
                \(latest("shown", where: "fate = 'failed'")) AS failed,
                \(latest("shown", where: "fate = 'refunded' AND place_in_fate = 1")) AS refunded,
                count(*) FILTER (WHERE fate = 'completed' AND (refunded IS NULL OR refunded < amount)) AS unrefunded
            FROM (
                SELECT *, ROW(at, event_id)::order_summary_moment AS moment,
                    ROW(at, event_id, payment_id, amount, currency, detail)::order_summary_payment AS shown,
                    sum(amount) FILTER (WHERE fate = 'refunded') OVER (PARTITION BY payment_id, currency) AS refunded
                FROM (
                    SELECT *,
                        row_number() OVER (PARTITION BY payment_id ORDER BY \(lastFirst)) AS place_in_payment,
                        row_number() OVER (PARTITION BY payment_id, fate ORDER BY \(lastFirst)) AS place_in_fate,
                        row_number() OVER (PARTITION BY payment_id, fate, sequence,
                            CASE WHEN sequence = 0 THEN event_id END ORDER BY \(lastFirst)) AS place_in_sequence
                    FROM (\(once("payments"))) AS once
                ) AS placed
                WHERE CASE fate WHEN 'refunded' THEN place_in_sequence = 1 ELSE place_in_fate = 1 END
            ) AS last
            """)

    /// The SQL form of `ShipmentFacts.merge`, and the shipments that are shown.
    private static let shipments = either(
        "shipments", ["shipments", "shipments_changed", "shipped", "delivered", "undelivered_shipments"],
        orMerged: """
            SELECT array_agg(fact ORDER BY fact) AS shipments,
                \(latest("moment", where: "place_in_shipment = 1")) AS changed,
                \(latest("shipped", where: "fate = 'created'")) AS shipped,
                \(latest("delivered", where: "fate = 'delivered'")) AS delivered,
                count(DISTINCT shipment_id) - count(*) FILTER (WHERE fate = 'delivered') AS undelivered
            FROM (
                SELECT *, ROW(at, event_id)::order_summary_moment AS moment,
                    ROW(at, event_id, shipment_id, carrier, tracking_number)::order_summary_shipped AS shipped,
                    ROW(at, event_id, shipment_id)::order_summary_delivered AS delivered,
                    row_number() OVER (PARTITION BY shipment_id ORDER BY \(lastFirst)) AS place_in_shipment,
                    row_number() OVER (PARTITION BY shipment_id, fate ORDER BY \(lastFirst)) AS place_in_fate
                FROM (\(once("shipments"))) AS once
            ) AS placed
            WHERE place_in_fate = 1
            """)

    /// The distinct facts of both sides with their fields. A fact that both sides have occurs only once.
    private static func once(_ facts: String) -> String {
        "SELECT fact, (fact).* FROM (SELECT DISTINCT f AS fact FROM unnest(o.\(facts) || EXCLUDED.\(facts)) AS f) AS all_of"
    }

    /// The latest of the records, by time and event id.
    private static func latest(_ record: String, where condition: String) -> String {
        "(array_agg(\(record) ORDER BY at DESC, event_id DESC) FILTER (WHERE \(condition)))[1]"
    }
}

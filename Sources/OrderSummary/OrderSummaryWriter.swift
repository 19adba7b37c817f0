public import Postgres
internal import Synchronization

/// Changes of orders as SQL: what ``OrderSummaryProjection`` does behind the fold, to be run alone by whoever wants
/// to know what the database can do.
public final class OrderSummaryWriter: Sendable {
    /// The types' OIDs, asked once: all connections of a writer are to one schema.
    private let types = Mutex<OrderSummaryTypes?>(nil)

    public init() {}

    /// Merges the changes into the read model.
    ///
    /// The statement merges under the row's lock, with functions that do not mind the order, so that owners of other
    /// topics' partitions may change the same order at the same time. Only lines are merged here, between a read
    /// without a lock and the write. That is safe: the lines of an order change by its own events alone, these are in
    /// one partition, and the runner holds that partition's offset row for the length of the transaction.
    ///
    /// - Parameter rows: one an order.
    /// - Throws: `PostgresError`; ``EventFailure`` when an order's total has more digits than a decimal can.
    public func write(_ rows: [OrderSummaryRow], in transaction: PostgresTransaction) async throws {
        guard !rows.isEmpty else { return }
        // Everybody locks rows in one order, and so nobody waits for another in a circle. Places are sorted, not
        // rows: those are large.
        let order = rows.indices.sorted { ExactText.compare(rows[$0].orderID, rows[$1].orderID) < 0 }
        do {
            let types = try await types(transaction)
            let merged = try await mergeStoredItems(into: rows, order, transaction)
            try await transaction.execute(OrderSummaryStatements.merge, types.parameters(merged, order))
        } catch {
            // The schema may have been made anew, with other OIDs.
            types.withLock { $0 = nil }
            throw error
        }
    }

    private func types(_ transaction: PostgresTransaction) async throws -> OrderSummaryTypes {
        if let known = types.withLock({ $0 }) { return known }
        let asked = try OrderSummaryTypes(try await transaction.execute(OrderSummaryStatements.types))
        types.withLock { $0 = asked }
        return asked
    }

    /// Completes the lines of each row that changes some, OrderCreated included: its line changes may have come
    /// before it.
    private func mergeStoredItems(
        into rows: [OrderSummaryRow], _ order: [Int], _ transaction: PostgresTransaction
    ) async throws -> [OrderSummaryRow] {
        let changed = order.filter { rows[$0].items != nil }
        if changed.isEmpty { return rows }
        var ids = TextArray(reservingBytes: changed.count * 40)
        for place in changed { ids.append(rows[place].orderID) }
        let stored = try await transaction.execute(
            OrderSummaryStatements.storedItems, Parameters { $0.append(ids) })
        var rows = rows
        for result in 0..<stored.rowCount {
            // Numbered as they are in `ids`, from 1.
            let place = changed[Int(try stored.int64(result, 0)) - 1]
            let items = try OrderItems(lines: stored.textBytes(result, 1), removals: stored.textBytes(result, 2))
            rows[place].mergeItems(items)
        }
        return rows
    }
}

/// The statements of the read model's version 1.
enum OrderSummaryStatements {
    /// The types whose OIDs a record on the wire names.
    static let types = Statement(
        """
        SELECT 'order_summary_v1'::regtype::oid::int8, 'order_summary_v1[]'::regtype::oid::int8,
            'order_summary_v1_created'::regtype::oid::int8, 'order_summary_v1_cancelled'::regtype::oid::int8,
            'order_summary_v1_payment'::regtype::oid::int8, 'order_summary_v1_shipped'::regtype::oid::int8,
            'order_summary_v1_delivered'::regtype::oid::int8
        """)

    /// The lines of those orders that have any stored. The index is the only sane plan, and OFFSET 0 keeps the planner,
    /// which does not know how many there are, from turning the join around.
    static let storedItems = Statement(
        """
        SELECT id.place, o.items, o.removed_items
        FROM unnest($1::text[]) WITH ORDINALITY AS id (order_id, place)
        CROSS JOIN LATERAL (
            SELECT items, removed_items FROM order_summary_v1
            WHERE order_id = id.order_id AND items IS NOT NULL
            OFFSET 0
        ) AS o
        """)

    /// One row an order, merged into what is there. A change is a row of the table that knows less.
    static let merge = Statement(
        """
        INSERT INTO order_summary_v1 AS o (
            order_id, version, updated_at, last_event_id, confirmed_at,
            items, removed_items, item_count, total_amount,
            created, cancelled, paid, failed, refunded, shipped, delivered)
        SELECT order_id, version, updated_at, last_event_id, confirmed_at,
            items, removed_items, item_count, total_amount,
            created, cancelled, paid, failed, refunded, shipped, delivered
        FROM unnest($1::order_summary_v1[])
        ON CONFLICT (order_id) DO UPDATE SET
            version = GREATEST(o.version, EXCLUDED.version),
            updated_at = GREATEST(o.updated_at, EXCLUDED.updated_at),
            last_event_id = CASE
                WHEN (EXCLUDED.updated_at, EXCLUDED.last_event_id) > (o.updated_at, o.last_event_id)
                THEN EXCLUDED.last_event_id ELSE o.last_event_id END,
            confirmed_at = GREATEST(o.confirmed_at, EXCLUDED.confirmed_at),
            items = COALESCE(EXCLUDED.items, o.items),
            removed_items = CASE WHEN EXCLUDED.items IS NULL THEN o.removed_items ELSE EXCLUDED.removed_items END,
            item_count = COALESCE(EXCLUDED.item_count, o.item_count),
            total_amount = COALESCE(EXCLUDED.total_amount, o.total_amount),
            created = GREATEST(o.created, EXCLUDED.created),
            cancelled = GREATEST(o.cancelled, EXCLUDED.cancelled),
            paid = GREATEST(o.paid, EXCLUDED.paid),
            failed = GREATEST(o.failed, EXCLUDED.failed),
            refunded = GREATEST(o.refunded, EXCLUDED.refunded),
            shipped = GREATEST(o.shipped, EXCLUDED.shipped),
            delivered = GREATEST(o.delivered, EXCLUDED.delivered)
        """)
}

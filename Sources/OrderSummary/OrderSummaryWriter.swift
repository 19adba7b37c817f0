public import Orders
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
    /// The statement is left queued, for COMMIT to take along.
    ///
    /// - Parameter storedItems: the answer to ``storedItems(of:)`` for the fold's events and maybe others; nil to ask.
    /// - Throws: `PostgresError`; ``EventFailure`` when an order's total has more digits than a decimal can.
    public func write(
        _ fold: consuming OrderSummaryFold, storedItems: QueryResult? = nil, in transaction: PostgresTransaction
    ) async throws {
        guard !fold.rows.isEmpty else { return }
        do {
            let types = try await types(transaction)
            try await mergeStoredItems(into: &fold, storedItems, transaction)
            let parameters = try types.parameters(fold.rows, Self.lockOrder(fold.rows))
            try await transaction.enqueue(OrderSummaryStatements.merge, parameters) { self.forgetTypes() }
        } catch {
            forgetTypes()
            throw error
        }
    }

    /// Everybody locks rows in one order, and so nobody waits for another in a circle. Places are sorted, not rows:
    /// those are large.
    private static func lockOrder(_ rows: [OrderSummaryRow]) -> [Int] {
        rows.indices.sorted { ExactText.compare(rows[$0].orderID, rows[$1].orderID) < 0 }
    }

    /// The schema may have been made anew, with other OIDs.
    private func forgetTypes() {
        types.withLock { $0 = nil }
    }

    private func types(_ transaction: PostgresTransaction) async throws -> OrderSummaryTypes {
        if let known = types.withLock({ $0 }) { return known }
        let asked = try OrderSummaryTypes(try await transaction.execute(OrderSummaryStatements.types))
        types.withLock { $0 = asked }
        return asked
    }

    /// Completes the lines of each order that changes some, OrderCreated included: its line changes may have come
    /// before it.
    private func mergeStoredItems(
        into fold: inout OrderSummaryFold, _ answer: QueryResult?, _ transaction: PostgresTransaction
    ) async throws {
        var stored = answer
        if stored == nil {
            let changed = fold.rows.lazy.filter { $0.items != nil }.map(\.orderID)
            guard let (statement, parameters) = Self.storedItems(ofOrders: changed) else { return }
            stored = try await transaction.execute(statement, parameters)
        }
        guard let stored else { return }
        for row in 0..<stored.rowCount {
            let items = try OrderItems(lines: stored.textBytes(row, 1), removals: stored.textBytes(row, 2))
            fold.mergeStoredItems(items, of: try stored.string(row, 0))
        }
    }

    /// Asks for the stored lines of the orders of which these events change some; nil when there is none.
    public static func storedItems(of events: [OrderEvent]) -> (Statement, Parameters)? {
        storedItems(ofOrders: Set(events.lazy.filter(\.changesItems).map { ExactText($0.orderID) }).map(\.text))
    }

    private static func storedItems(ofOrders orderIDs: some Collection<String>) -> (Statement, Parameters)? {
        if orderIDs.isEmpty { return nil }
        var ids = TextArray()
        for id in orderIDs { ids.append(id) }
        return (OrderSummaryStatements.storedItems, Parameters { $0.append(ids) })
    }
}

extension OrderEvent {
    fileprivate var changesItems: Bool {
        switch payload {
        case .orderCreated, .itemAdded, .itemRemoved: true
        default: false
        }
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
        SELECT id.order_id, o.items, o.removed_items
        FROM unnest($1::text[]) AS id (order_id)
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

internal import Commands
internal import Events
internal import Inventory
internal import Postgres
internal import StreamCore

// The rows that a transaction writes about stock, as columns. Each table has its own type.

/// New rows of `inventory`, or changes of existing ones.
struct StockRows {
    private var ids = TextArray(), tenants = TextArray(), onHand = Int64Array(), reserved = Int64Array()
    private var versions = Int64Array(), expected = Int64Array(), updatedAt = TimestampArray(), eventIDs = UUIDArray()

    mutating func append(_ id: String, _ stock: Loaded<InventoryState>, expected version: Int64) {
        ids.append(id)
        tenants.append(stock.state.tenantID)
        onHand.append(stock.state.onHand)
        reserved.append(stock.state.reserved)
        versions.append(stock.version)
        expected.append(version)
        updatedAt.append(stock.state.updatedAt)
        eventIDs.append(stock.state.lastEventID)
    }

    /// Empty if there are none.
    var insertion: [(Statement, Parameters)] {
        if ids.count == 0 { return [] }
        var parameters = Parameters()
        parameters.append(ids)
        parameters.append(tenants)
        parameters.append(onHand)
        parameters.append(reserved)
        parameters.append(versions)
        parameters.append(updatedAt)
        parameters.append(eventIDs)
        return [(Self.insertionStatement, parameters)]
    }

    private static let insertionStatement: Statement = """
        INSERT INTO inventory (product_id, tenant_id, on_hand, reserved, version, updated_at, last_event_id)
        SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7)
        """

    /// Empty if there are none.
    var update: [(Statement, Parameters)] {
        if ids.count == 0 { return [] }
        var parameters = Parameters()
        parameters.append(ids)
        parameters.append(onHand)
        parameters.append(reserved)
        parameters.append(versions)
        parameters.append(expected)
        parameters.append(updatedAt)
        parameters.append(eventIDs)
        parameters.append(Int64(ids.count))
        return [(Self.updateStatement, parameters)]
    }

    private static let updateStatement: Statement = """
        WITH changed AS (
            UPDATE inventory AS i SET
                on_hand = u.on_hand, reserved = u.reserved, version = u.version, updated_at = u.updated_at,
                last_event_id = u.event_id
            FROM unnest($1, $2, $3, $4, $5, $6, $7)
                AS u(product_id, on_hand, reserved, version, expected, updated_at, event_id)
            WHERE i.product_id = u.product_id AND i.version = u.expected
            RETURNING 1
        )
        SELECT commands_expect((SELECT count(*) FROM changed), $8, 'the stock of a product')
        """
}

/// Rows of `inventory_reservations`.
struct ReservationRows {
    private var productIDs = TextArray(), orderIDs = TextArray(), quantities = Int64Array()

    mutating func append(_ productID: String, _ orderID: String, _ quantity: Int64) {
        productIDs.append(productID)
        orderIDs.append(orderID)
        quantities.append(quantity)
    }

    /// Inserts the rows or updates existing ones. Empty if there are none.
    var upsert: [(Statement, Parameters)] {
        if productIDs.count == 0 { return [] }
        var parameters = Parameters()
        parameters.append(productIDs)
        parameters.append(orderIDs)
        parameters.append(quantities)
        return [(Self.upsertStatement, parameters)]
    }

    private static let upsertStatement: Statement = """
        INSERT INTO inventory_reservations (product_id, order_id, quantity) SELECT * FROM unnest($1, $2, $3)
        ON CONFLICT (product_id, order_id) DO UPDATE SET quantity = EXCLUDED.quantity
        """

    /// Empty if there are none.
    var deletion: [(Statement, Parameters)] {
        if productIDs.count == 0 { return [] }
        var parameters = Parameters()
        parameters.append(productIDs)
        parameters.append(orderIDs)
        return [(Self.deletionStatement, parameters)]
    }

    private static let deletionStatement: Statement = """
        DELETE FROM inventory_reservations AS r USING unnest($1, $2) AS u(product_id, order_id)
        WHERE r.product_id = u.product_id AND r.order_id = u.order_id
        """
}

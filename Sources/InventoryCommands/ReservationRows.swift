internal import Postgres

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

internal import Events
internal import Orders
internal import Postgres

// The columns that a transaction writes about the lines of orders, one type for each statement.

/// Rows of `order_items` that are inserted or replaced.
struct ItemRows {
    private var orderIDs = TextArray(), productIDs = TextArray(), names = TextArray()
    private var quantities = Int32Array(), prices = NumericArray()

    mutating func append(_ orderID: String, _ line: OrderLine) {
        orderIDs.append(orderID)
        productIDs.append(line.productID)
        names.append(line.name)
        quantities.append(line.quantity)
        prices.append(coefficient: line.unitPrice.coefficient, scale: line.unitPrice.scale)
    }

    var upsert: [(Statement, Parameters)] {
        if orderIDs.count == 0 { return [] }
        var parameters = Parameters()
        parameters.append(orderIDs)
        parameters.append(productIDs)
        parameters.append(names)
        parameters.append(quantities)
        parameters.append(prices)
        return [(Self.statement, parameters)]
    }

    private static let statement: Statement = """
        INSERT INTO order_items (order_id, product_id, name, quantity, unit_price)
        SELECT * FROM unnest($1, $2, $3, $4, $5)
        ON CONFLICT (order_id, product_id)
        DO UPDATE SET name = EXCLUDED.name, quantity = EXCLUDED.quantity, unit_price = EXCLUDED.unit_price
        """
}

/// The keys of deleted rows of `order_items`.
struct ItemKeys {
    private var orderIDs = TextArray(), productIDs = TextArray()

    mutating func append(_ orderID: String, _ productID: String) {
        orderIDs.append(orderID)
        productIDs.append(productID)
    }

    var deletion: [(Statement, Parameters)] {
        if orderIDs.count == 0 { return [] }
        var parameters = Parameters()
        parameters.append(orderIDs)
        parameters.append(productIDs)
        return [(Self.statement, parameters)]
    }

    private static let statement: Statement = """
        DELETE FROM order_items AS i USING unnest($1, $2) AS u(order_id, product_id)
        WHERE i.order_id = u.order_id AND i.product_id = u.product_id
        """
}

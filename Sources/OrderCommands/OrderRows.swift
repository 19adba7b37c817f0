internal import Commands
internal import Events
internal import Orders
internal import Postgres
internal import StreamCore
internal import WireJSON

// The columns that a transaction writes about orders, one type for each statement.

/// New rows of `orders`, or changes of existing ones.
struct OrderRows {
    private var ids = TextArray(), tenants = TextArray(), customers = TextArray(), statuses = TextArray()
    private var currencies = TextArray(), totals = NumericArray(), addresses = JSONArray(), versions = Int64Array()
    private var expected = Int64Array(), createdAt = TimestampArray(), confirmedAt = TimestampArray()
    private var cancelledAt = TimestampArray(), reasons = TextArray(), actors = TextArray()
    private var updatedAt = TimestampArray(), eventIDs = UUIDArray()

    mutating func append(_ id: String, _ order: Loaded<OrderState>, expected version: Int64) {
        let state = order.state
        let total = state.total ?? .zero
        ids.append(id)
        tenants.append(state.tenantID)
        customers.append(state.customerID)
        statuses.append(state.status.rawValue)
        currencies.append(state.currency.code)
        totals.append(coefficient: total.coefficient, scale: total.scale)
        var json = JSONWriter()
        state.shippingAddress.write(to: &json)
        addresses.append(json: json.span)
        versions.append(order.version)
        expected.append(version)
        createdAt.append(state.createdAt)
        confirmedAt.append(state.confirmedAt)
        cancelledAt.append(state.cancellation?.at)
        reasons.append(state.cancellation?.reason)
        actors.append(state.cancellation?.by)
        updatedAt.append(state.updatedAt)
        eventIDs.append(state.lastEventID)
    }

    /// Empty if there are none.
    var insertion: [(Statement, Parameters)] {
        if ids.count == 0 { return [] }
        var parameters = Parameters()
        parameters.append(ids)
        parameters.append(tenants)
        parameters.append(customers)
        parameters.append(statuses)
        parameters.append(currencies)
        parameters.append(totals)
        parameters.append(addresses)
        parameters.append(versions)
        parameters.append(createdAt)
        parameters.append(confirmedAt)
        parameters.append(cancelledAt)
        parameters.append(reasons)
        parameters.append(actors)
        parameters.append(updatedAt)
        parameters.append(eventIDs)
        return [(Self.insertionStatement, parameters)]
    }

    private static let insertionStatement: Statement = """
        INSERT INTO orders (order_id, tenant_id, customer_id, status, currency, total_amount, shipping_address, version,
            created_at, confirmed_at, cancelled_at, cancel_reason, cancelled_by, updated_at, last_event_id)
        SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
        """

    /// Empty if there are none.
    var update: [(Statement, Parameters)] {
        if ids.count == 0 { return [] }
        var parameters = Parameters()
        parameters.append(ids)
        parameters.append(statuses)
        parameters.append(totals)
        parameters.append(versions)
        parameters.append(expected)
        parameters.append(confirmedAt)
        parameters.append(cancelledAt)
        parameters.append(reasons)
        parameters.append(actors)
        parameters.append(updatedAt)
        parameters.append(eventIDs)
        parameters.append(Int64(ids.count))
        return [(Self.updateStatement, parameters)]
    }

    private static let updateStatement: Statement = """
        WITH changed AS (
            UPDATE orders AS o SET
                status = u.status, total_amount = u.total, version = u.version, confirmed_at = u.confirmed_at,
                cancelled_at = u.cancelled_at, cancel_reason = u.reason, cancelled_by = u.actor,
                updated_at = u.updated_at, last_event_id = u.event_id
            FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
                AS u(order_id, status, total, version, expected, confirmed_at, cancelled_at, reason, actor, updated_at,
                    event_id)
            WHERE o.order_id = u.order_id AND o.version = u.expected
            RETURNING 1
        )
        SELECT commands_expect((SELECT count(*) FROM changed), $12, 'an order')
        """
}

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

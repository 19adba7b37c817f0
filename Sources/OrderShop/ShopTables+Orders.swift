internal import Events
internal import Orders
internal import Postgres
internal import StreamCore
internal import WireJSON

// The columns that a transaction writes about orders, one type for each statement.

struct NewOrders {
    private var orderIDs = TextArray(), customerIDs = TextArray(), currencies = TextArray(), totals = NumericArray()
    private var addresses = JSONArray(), times = TimestampArray(), eventIDs = UUIDArray()

    mutating func append(_ event: OrderEvent, _ order: OrderCreated) {
        orderIDs.append(event.orderID)
        customerIDs.append(order.customerID)
        currencies.append(order.currency.code)
        let total = order.items.reduce(0) { $0 + $1.minorUnits }
        totals.append(DecimalAmount(coefficient: Int128(total), scale: order.items.first?.unitPrice.scale ?? 0))
        var json = JSONWriter()
        order.shippingAddress.write(to: &json)
        addresses.append(json: json.span)
        times.append(event.identity.timestamp)
        eventIDs.append(event.identity.eventID)
    }

    var write: ShopStatements.Write {
        var parameters = Parameters()
        parameters.append(orderIDs)
        parameters.append(customerIDs)
        parameters.append(currencies)
        parameters.append(totals)
        parameters.append(addresses)
        parameters.append(times)
        parameters.append(eventIDs)
        return ShopStatements.Write(
            statement: Self.statement, parameters: parameters, expectedRows: orderIDs.count, table: "orders")
    }

    private static let statement: Statement = """
        INSERT INTO orders (order_id, customer_id, status, currency, total_amount, shipping_address, version,
            created_at, updated_at, last_event_id)
        SELECT order_id, customer_id, 'created', currency, total, address, 1, at, at, event_id
        FROM unnest($1, $2, $3, $4, $5, $6, $7) AS u(order_id, customer_id, currency, total, address, at, event_id)
        """
}

struct PutItems {
    private var orderIDs = TextArray(), productIDs = TextArray(), names = TextArray()
    private var quantities = Int32Array(), prices = NumericArray()

    mutating func append(_ orderID: String, _ line: OrderLine) {
        orderIDs.append(orderID)
        productIDs.append(line.productID)
        names.append(line.name)
        quantities.append(line.quantity)
        prices.append(line.unitPrice)
    }

    var write: ShopStatements.Write {
        var parameters = Parameters()
        parameters.append(orderIDs)
        parameters.append(productIDs)
        parameters.append(names)
        parameters.append(quantities)
        parameters.append(prices)
        return ShopStatements.Write(
            statement: Self.statement, parameters: parameters, expectedRows: orderIDs.count, table: "order_items")
    }

    private static let statement: Statement = """
        INSERT INTO order_items (order_id, product_id, name, quantity, unit_price)
        SELECT * FROM unnest($1, $2, $3, $4, $5)
        ON CONFLICT (order_id, product_id)
        DO UPDATE SET name = EXCLUDED.name, quantity = EXCLUDED.quantity, unit_price = EXCLUDED.unit_price
        """
}

struct RemovedItems {
    private var orderIDs = TextArray(), productIDs = TextArray()

    mutating func append(_ orderID: String, _ productID: String) {
        orderIDs.append(orderID)
        productIDs.append(productID)
    }

    var write: ShopStatements.Write {
        var parameters = Parameters()
        parameters.append(orderIDs)
        parameters.append(productIDs)
        return ShopStatements.Write(
            statement: Self.statement, parameters: parameters, expectedRows: orderIDs.count, table: "order_items")
    }

    private static let statement: Statement = """
        DELETE FROM order_items AS i USING unnest($1, $2) AS u(order_id, product_id)
        WHERE i.order_id = u.order_id AND i.product_id = u.product_id
        """
}

struct OrderChanges {
    private var orderIDs = TextArray(), versions = Int64Array(), statuses = TextArray(), itemsChanged = BoolArray()
    private var reasons = TextArray(), actors = TextArray(), times = TimestampArray(), eventIDs = UUIDArray()

    mutating func append(
        _ event: OrderEvent, status: String?, itemsChanged: Bool = false, reason: String? = nil, by actor: String? = nil
    ) {
        orderIDs.append(event.orderID)
        versions.append(event.identity.sequence)
        statuses.append(status)
        self.itemsChanged.append(itemsChanged)
        reasons.append(reason)
        actors.append(actor)
        times.append(event.identity.timestamp)
        eventIDs.append(event.identity.eventID)
    }

    var write: ShopStatements.Write {
        var parameters = Parameters()
        parameters.append(orderIDs)
        parameters.append(versions)
        parameters.append(statuses)
        parameters.append(itemsChanged)
        parameters.append(reasons)
        parameters.append(actors)
        parameters.append(times)
        parameters.append(eventIDs)
        return ShopStatements.Write(
            statement: Self.statement, parameters: parameters, expectedRows: orderIDs.count, table: "orders")
    }

    private static let statement: Statement = """
        UPDATE orders AS o SET
            version = u.version,
            status = coalesce(u.status, o.status),
            total_amount = CASE WHEN u.items_changed
                THEN (SELECT coalesce(sum(i.quantity * i.unit_price), 0)
                      FROM order_items AS i WHERE i.order_id = o.order_id)
                ELSE o.total_amount END,
            confirmed_at = CASE u.status WHEN 'confirmed' THEN u.at ELSE o.confirmed_at END,
            cancelled_at = CASE u.status WHEN 'cancelled' THEN u.at ELSE o.cancelled_at END,
            cancel_reason = coalesce(u.reason, o.cancel_reason),
            cancelled_by = coalesce(u.actor, o.cancelled_by),
            updated_at = u.at,
            last_event_id = u.event_id
        FROM unnest($1, $2, $3, $4, $5, $6, $7, $8)
            AS u(order_id, version, status, items_changed, reason, actor, at, event_id)
        WHERE o.order_id = u.order_id AND o.version = u.version - 1
        """
}

internal import Commands
internal import Events
internal import Orders
internal import Postgres
internal import StreamCore

// The columns that a transaction writes about payments, shipments and the outbox, one type for each statement.

struct PaymentChanges {
    private var paymentIDs = TextArray(), orderIDs = TextArray(), statuses = TextArray(), amounts = NumericArray()
    private var currencies = TextArray(), versions = Int64Array(), methods = TextArray(), reasons = TextArray()
    private var times = TimestampArray(), eventIDs = UUIDArray()

    mutating func append(
        _ event: OrderEvent, status: String, _ money: Money, method: String? = nil, reason: String? = nil
    ) {
        paymentIDs.append(event.identity.aggregateID)
        orderIDs.append(event.orderID)
        statuses.append(status)
        amounts.append(money.amount)
        currencies.append(money.currency.code)
        versions.append(event.identity.sequence)
        methods.append(method)
        reasons.append(reason)
        times.append(event.identity.timestamp)
        eventIDs.append(event.identity.eventID)
    }

    var write: ShopStatements.Write {
        var parameters = Parameters()
        parameters.append(paymentIDs)
        parameters.append(orderIDs)
        parameters.append(statuses)
        parameters.append(amounts)
        parameters.append(currencies)
        parameters.append(versions)
        parameters.append(methods)
        parameters.append(reasons)
        parameters.append(times)
        parameters.append(eventIDs)
        return ShopStatements.Write(
            statement: Self.statement, parameters: parameters, expectedRows: paymentIDs.count, table: "payments")
    }

    private static let statement: Statement = """
        INSERT INTO payments (payment_id, order_id, status, amount, currency, version, method, updated_at,
            last_event_id, completed_at, completed_event_id, failed_at, failed_event_id, failure_reason,
            refunded_at, refunded_event_id, refund_reason)
        SELECT payment_id, order_id, status, amount, currency, version, method, at, event_id,
            CASE status WHEN 'completed' THEN at END, CASE status WHEN 'completed' THEN event_id END,
            CASE status WHEN 'failed' THEN at END, CASE status WHEN 'failed' THEN event_id END,
            CASE status WHEN 'failed' THEN reason END,
            CASE status WHEN 'refunded' THEN at END, CASE status WHEN 'refunded' THEN event_id END,
            CASE status WHEN 'refunded' THEN reason END
        FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            AS u(payment_id, order_id, status, amount, currency, version, method, reason, at, event_id)
        ON CONFLICT (payment_id) DO UPDATE SET
            status = EXCLUDED.status, version = EXCLUDED.version, updated_at = EXCLUDED.updated_at,
            last_event_id = EXCLUDED.last_event_id,
            method = coalesce(EXCLUDED.method, payments.method),
            completed_at = coalesce(EXCLUDED.completed_at, payments.completed_at),
            completed_event_id = coalesce(EXCLUDED.completed_event_id, payments.completed_event_id),
            failed_at = coalesce(EXCLUDED.failed_at, payments.failed_at),
            failed_event_id = coalesce(EXCLUDED.failed_event_id, payments.failed_event_id),
            failure_reason = coalesce(EXCLUDED.failure_reason, payments.failure_reason),
            refunded_at = coalesce(EXCLUDED.refunded_at, payments.refunded_at),
            refunded_event_id = coalesce(EXCLUDED.refunded_event_id, payments.refunded_event_id),
            refund_reason = coalesce(EXCLUDED.refund_reason, payments.refund_reason)
        WHERE payments.version = EXCLUDED.version - 1
        """
}

struct NewShipments {
    private var shipmentIDs = TextArray(), orderIDs = TextArray(), carriers = TextArray()
    private var trackingNumbers = TextArray(), times = TimestampArray(), eventIDs = UUIDArray()

    mutating func append(_ event: OrderEvent, _ carrier: String, _ trackingNumber: String) {
        shipmentIDs.append(event.identity.aggregateID)
        orderIDs.append(event.orderID)
        carriers.append(carrier)
        trackingNumbers.append(trackingNumber)
        times.append(event.identity.timestamp)
        eventIDs.append(event.identity.eventID)
    }

    var write: ShopStatements.Write {
        var parameters = Parameters()
        parameters.append(shipmentIDs)
        parameters.append(orderIDs)
        parameters.append(carriers)
        parameters.append(trackingNumbers)
        parameters.append(times)
        parameters.append(eventIDs)
        return ShopStatements.Write(
            statement: Self.statement, parameters: parameters, expectedRows: shipmentIDs.count, table: "shipments")
    }

    private static let statement: Statement = """
        INSERT INTO shipments (shipment_id, order_id, status, carrier, tracking_number, version, created_at,
            created_event_id, updated_at, last_event_id)
        SELECT shipment_id, order_id, 'created', carrier, tracking_number, 1, at, event_id, at, event_id
        FROM unnest($1, $2, $3, $4, $5, $6) AS u(shipment_id, order_id, carrier, tracking_number, at, event_id)
        """
}

struct Deliveries {
    private var shipmentIDs = TextArray(), versions = Int64Array(), times = TimestampArray(), eventIDs = UUIDArray()

    mutating func append(_ event: OrderEvent) {
        shipmentIDs.append(event.identity.aggregateID)
        versions.append(event.identity.sequence)
        times.append(event.identity.timestamp)
        eventIDs.append(event.identity.eventID)
    }

    var write: ShopStatements.Write {
        var parameters = Parameters()
        parameters.append(shipmentIDs)
        parameters.append(versions)
        parameters.append(times)
        parameters.append(eventIDs)
        return ShopStatements.Write(
            statement: Self.statement, parameters: parameters, expectedRows: shipmentIDs.count, table: "shipments")
    }

    private static let statement: Statement = """
        UPDATE shipments AS s SET
            status = 'delivered', version = u.version, delivered_at = u.at, delivered_event_id = u.event_id,
            updated_at = u.at, last_event_id = u.event_id
        FROM unnest($1, $2, $3, $4) AS u(shipment_id, version, at, event_id)
        WHERE s.shipment_id = u.shipment_id AND s.version = u.version - 1
        """
}

/// The rows of the outbox.
struct OutboxWrite {
    private var rows = OutboxRows()

    mutating func append(_ event: OrderEvent) { rows.append(event) }

    var write: ShopStatements.Write {
        let (statement, parameters) = rows.insertion
        return ShopStatements.Write(
            statement: statement, parameters: parameters, expectedRows: rows.count, table: "outbox")
    }
}

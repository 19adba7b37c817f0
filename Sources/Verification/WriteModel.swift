internal import Events
internal import Orders
internal import Outbox
internal import Postgres
internal import StreamCore

/// One order in the write model, with its payments and shipments.
struct WrittenOrder: Sendable {
    /// The facts in the tables. The sequences of the events behind them are not known exactly, but none is greater than
    /// the last one in ``OrderFacts/seen``.
    var facts = OrderFacts()
    var total = DecimalAmount.zero
    var status = ""

    /// The aggregates of the order, with the sequence of the last event of each.
    func aggregates(of id: ExactText) -> [(aggregate: AggregateType, id: ExactText, last: Int64)] {
        [(.order, id, facts.seen.greatest)]
            + facts.payments.map { (.payment, $0.id, $0.seen.greatest) }
            + facts.shipments.map { (.shipment, $0.id, $0.seen.greatest) }
    }

    /// Whether the tables contain the content of an event.
    func holds(_ event: OrderEvent) -> Bool {
        let seen = facts.seen(of: event.aggregateType, ExactText(event.identity.aggregateID))
        return event.identity.sequence <= seen.greatest
    }
}

/// A snapshot of the write model, ordered by the bytes of the order ids.
struct WriteModel {
    private var orders: SortedRows
    private var items: SortedRows
    private var payments: SortedRows
    private var shipments: SortedRows
    private var outbox: SortedRows
    /// The ids of the outbox rows that are not in Kafka.
    private let unpublished: Set<Int64>

    /// - Parameters:
    ///   - transaction: a transaction with isolation level REPEATABLE READ.
    ///   - outbox: the outbox, in Millrace's layout.
    ///   - unpublished: the ids of the outbox rows of this snapshot that are still not in Kafka.
    init(_ transaction: PostgresTransaction, _ outbox: OutboxTable, unpublished: Set<Int64>) async throws {
        self.unpublished = unpublished
        orders = try await .open("verify_orders", Self.ordersQuery, transaction)
        items = try await .open(
            "verify_items", "SELECT order_id, product_id, name, quantity, unit_price FROM order_items", transaction)
        payments = try await .open("verify_payments", Self.paymentsQuery, transaction)
        shipments = try await .open("verify_shipments", Self.shipmentsQuery, transaction)
        self.outbox = try await .open("verify_outbox", Self.query(of: outbox), transaction)
    }

    mutating func nextID() async throws -> ExactText? {
        [try await orders.nextID(), try await outbox.nextID()].compactMap(\.self).min()
    }

    /// Reads an order and its events that are not in Kafka. The order must be the next one, or it has no rows.
    mutating func take(_ id: ExactText) async throws -> (order: WrittenOrder?, unpublished: [EventKey]) {
        var found: WrittenOrder?
        try await orders.take(id) { rows, row in found = try Self.order(rows, row) }
        var keys: [EventKey] = []
        let unpublished = unpublished
        try await outbox.take(id) { rows, row in
            guard unpublished.contains(try rows.int64(row, 1)),
                let aggregate = AggregateType(rawValue: try rows.string(row, 2))
            else { return }
            keys.append(
                EventKey(
                    aggregate: aggregate, id: ExactText(try rows.string(row, 3)), sequence: try rows.int64(row, 4)))
        }
        guard var order = found else { return (nil, keys) }
        let version = order.facts.seen.greatest
        try await items.take(id) { rows, row in
            let (coefficient, scale) = try rows.decimal(row, 4)
            let content = LineFacts.Content(
                name: try rows.string(row, 2), quantity: Int64(try rows.int32(row, 3)),
                price: DecimalAmount(coefficient: coefficient, scale: scale))
            order.facts.merge(
                LineFacts(productID: ExactText(try rows.string(row, 1)), sequence: version, content: content))
        }
        try await payments.take(id) { rows, row in order.facts.merge(try Self.payment(rows, row)) }
        try await shipments.take(id) { rows, row in order.facts.merge(try Self.shipment(rows, row)) }
        return (order, keys)
    }

    // MARK: rows

    private static let ordersQuery = """
        SELECT order_id, customer_id, currency, \(SummaryColumns.address("shipping_address")) AS address, status,
            total_amount, version, created_at, confirmed_at, cancelled_at, cancel_reason, cancelled_by, updated_at,
            last_event_id
        FROM orders
        """

    private static func order(_ rows: QueryResult, _ row: Int) throws -> WrittenOrder {
        var order = WrittenOrder()
        let version = try rows.int64(row, 6)
        let lastID = try rows.eventID(row, 13)
        func told<Value>(_ at: Timestamp, _ value: Value) -> Told<Value> {
            Told(sequence: version, at: at, eventID: lastID, value)
        }
        order.status = try rows.string(row, 4)
        let (coefficient, scale) = try rows.decimal(row, 5)
        order.total = DecimalAmount(coefficient: coefficient, scale: scale)
        order.facts.seen = SequenceSet(upTo: version)
        order.facts.last = told(try rows.timestamp(row, 12), Happened())
        let created = CreatedOrder(
            customerID: try rows.string(row, 1), currency: try rows.string(row, 2),
            address: try rows.optionalString(row, 3) ?? "")
        order.facts.created = told(try rows.timestamp(row, 7), created)
        order.facts.confirmed = try rows.optionalTimestamp(row, 8).map { told($0, Happened()) }
        if let at = try rows.optionalTimestamp(row, 9) {
            let cancellation = Cancellation(
                reason: try rows.optionalString(row, 10) ?? "", by: try rows.optionalString(row, 11) ?? "")
            order.facts.cancelled = told(at, cancellation)
        }
        return order
    }

    private static let paymentsQuery = """
        SELECT p.order_id, p.payment_id, p.amount, p.currency, p.version, p.last_event_id, p.completed_at,
            p.completed_event_id, p.method, p.failed_at, p.failed_event_id, p.failure_reason,
            coalesce(r.refunded_at, p.refunded_at), coalesce(r.event_id, p.refunded_event_id),
            coalesce(r.reason, p.refund_reason), r.sequence, r.amount
        FROM payments AS p LEFT JOIN payment_refunds AS r ON r.payment_id = p.payment_id
        """

    /// A row for each refund, or one for a payment without rows of refunds.
    private static func payment(_ rows: QueryResult, _ row: Int) throws -> PaymentFacts {
        var payment = PaymentFacts(id: ExactText(try rows.string(row, 1)))
        let amount = try Self.amount(rows, row, 2)
        let version = try rows.int64(row, 4)
        let lastID = try rows.eventID(row, 5)
        payment.seen = SequenceSet(upTo: version)
        let isOneOfItsRefunds = !rows.isNull(row, 15)
        for (fate, column) in [(PaymentFacts.Fate.completed, 6), (.failed, 9), (.refunded, 12)] {
            guard let at = try rows.optionalTimestamp(row, column) else { continue }
            let id = try rows.eventID(row, column + 1)
            let isRefund = fate == .refunded && isOneOfItsRefunds
            let content = PaymentFacts.Content(
                fate: fate, amount: isRefund ? try Self.amount(rows, row, 16) : amount,
                currency: try rows.string(row, 3), detail: try rows.optionalString(row, column + 2) ?? "")
            // The last event's sequence is the version. Earlier events get a smaller one.
            let sequence = isRefund ? try rows.int64(row, 15) : id == lastID ? version : version - 1
            payment.merge(Told(sequence: sequence, at: at, eventID: id, content))
        }
        return payment
    }

    private static func amount(_ rows: QueryResult, _ row: Int, _ column: Int) throws -> DecimalAmount {
        let (coefficient, scale) = try rows.decimal(row, column)
        return DecimalAmount(coefficient: coefficient, scale: scale)
    }

    private static let shipmentsQuery = """
        SELECT order_id, shipment_id, carrier, tracking_number, version, created_at, created_event_id, delivered_at,
            delivered_event_id
        FROM shipments
        """

    private static func shipment(_ rows: QueryResult, _ row: Int) throws -> ShipmentFacts {
        var shipment = ShipmentFacts(id: ExactText(try rows.string(row, 1)))
        let version = try rows.int64(row, 4)
        shipment.seen = SequenceSet(upTo: version)
        let parcel = ShipmentFacts.Parcel(carrier: try rows.string(row, 2), trackingNumber: try rows.string(row, 3))
        shipment.created = Told(
            sequence: 1, at: try rows.timestamp(row, 5), eventID: try rows.eventID(row, 6), parcel)
        if let at = try rows.optionalTimestamp(row, 7) {
            shipment.delivered = Told(
                sequence: version, at: at, eventID: try rows.eventID(row, 8), Happened())
        }
        return shipment
    }

    /// The events of `outbox` and `outbox_failed` that may not be in Kafka, with the ids of their orders.
    private static func query(of outbox: OutboxTable) -> String {
        """
        SELECT coalesce(p.order_id, s.order_id, o.aggregate_id), o.id, o.aggregate_type, o.aggregate_id, o.sequence
        FROM (
            SELECT id, aggregate_type, aggregate_id, sequence FROM \(outbox.name) WHERE \(outbox.isWaiting)
            UNION ALL SELECT id, aggregate_type, aggregate_id, sequence FROM \(outbox.failedName)) AS o
        LEFT JOIN payments AS p ON o.aggregate_type = 'Payment' AND p.payment_id = o.aggregate_id
        LEFT JOIN shipments AS s ON o.aggregate_type = 'Shipment' AND s.shipment_id = o.aggregate_id
        WHERE o.aggregate_id IS NOT NULL AND o.sequence IS NOT NULL
        """
    }
}

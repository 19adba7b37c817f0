public import Events
public import Orders
public import StreamCore

/// The facts of one order. They are a row of the read model as well as a change of it by some events. ``merge(_:)`` is
/// commutative, associative and idempotent (a join-semilattice), so the result does not depend on the order of events,
/// their division into batches, or repetitions.
///
/// Facts of one aggregate (the order, a payment, a shipment) are ordered only by its sequence, and are kept separate
/// from those of other aggregates. Of several payments or shipments, the fact with the latest moment is shown.
public struct OrderSummaryRow: Hashable, Sendable {
    public let orderID: String
    /// The stamp of the last of the order's own events.
    public private(set) var last: EventStamp?
    public private(set) var confirmed: EventStamp?
    /// nil before the first event with lines.
    public private(set) var items: OrderItems?
    public private(set) var created: Register<CreatedFact>?
    public private(set) var cancelled: Register<OrderCancelled>?
    public private(set) var payments = AggregateMap<PaymentFacts<PaymentFact>>()
    public private(set) var shipments = AggregateMap<ShipmentFacts<ShippedFact>>()

    /// The facts of one event.
    public init(_ event: OrderEvent) {
        orderID = event.orderID
        merge(event)
    }

    /// Creates a row from stored values.
    package init(
        orderID: String, last: EventStamp?, confirmed: EventStamp?, items: OrderItems?,
        created: Register<CreatedFact>?, cancelled: Register<OrderCancelled>?,
        payments: AggregateMap<PaymentFacts<PaymentFact>>, shipments: AggregateMap<ShipmentFacts<ShippedFact>>
    ) {
        self.orderID = orderID
        self.last = last
        self.confirmed = confirmed
        self.items = items
        self.created = created
        self.cancelled = cancelled
        self.payments = payments
        self.shipments = shipments
    }

    /// Merges an event of the same order.
    public mutating func merge(_ event: OrderEvent) {
        let stamp = EventStamp(event.identity)
        let id = event.identity.aggregateID
        if event.aggregateType == .order { EventStamp.merge(stamp, into: &last) }
        switch event.payload {
        case .orderCreated(let order):
            let fact = CreatedFact(
                customerID: order.customerID, currency: order.currency, shippingAddress: order.shippingAddress)
            Register.merge(Register(stamp, fact), into: &created)
            mergeItems(OrderItems(order.items, by: stamp))
        case .itemAdded(let line): mergeItems(OrderItems([line], by: stamp))
        case .itemRemoved(let productID): mergeItems(OrderItems(removing: productID, by: stamp))
        case .orderConfirmed: EventStamp.merge(stamp, into: &confirmed)
        case .orderCancelled(let cancellation): Register.merge(Register(stamp, cancellation), into: &cancelled)
        case .paymentAuthorized: break
        case .paymentCompleted(let payment):
            let fact = PaymentFact(paymentID: id, money: payment.money, detail: payment.method)
            payments.merge(PaymentFacts(id: id, completed: Register(stamp, fact)))
        case .paymentFailed(let payment):
            payments.merge(PaymentFacts(id: id, failed: Register(stamp, Self.fact(payment, id))))
        case .paymentRefunded(let payment):
            payments.merge(PaymentFacts(id: id, refunds: [Register(stamp, Self.fact(payment, id))]))
        case .shipmentCreated(let shipment):
            let fact = ShippedFact(
                shipmentID: id, carrier: shipment.carrier, trackingNumber: shipment.trackingNumber)
            shipments.merge(ShipmentFacts(id: id, created: Register(stamp, fact)))
        case .shipmentDelivered: shipments.merge(ShipmentFacts(id: id, delivered: stamp))
        }
    }

    /// Merges the facts of `other`, which must belong to the same order.
    public mutating func merge(_ other: OrderSummaryRow) {
        EventStamp.merge(other.last, into: &last)
        EventStamp.merge(other.confirmed, into: &confirmed)
        if let items = other.items { mergeItems(items) }
        Register.merge(other.created, into: &created)
        Register.merge(other.cancelled, into: &cancelled)
        payments.merge(other.payments)
        shipments.merge(other.shipments)
    }

    private mutating func mergeItems(_ other: OrderItems) {
        if items == nil { items = other } else { items?.merge(other) }
    }

    private static func fact(_ payment: PaymentSetback, _ id: String) -> PaymentFact {
        PaymentFact(paymentID: id, money: payment.money, detail: payment.reason)
    }
}

// MARK: - values derived from the facts; a test checks that the table derives the same values

extension OrderSummaryRow {
    /// The greatest sequence of the order's own events; 0 before the first one.
    public var version: Int64 { last?.sequence ?? 0 }

    /// The latest moment among the last events of all aggregates.
    public var lastMoment: EventMoment? {
        var latest = last?.moment
        for case let moment? in [payments.lastMoment, shipments.lastMoment] {
            if let known = latest, known >= moment { continue }
            latest = moment
        }
        return latest
    }

    public var updatedAt: Timestamp? { lastMoment?.at }
    public var confirmedAt: Timestamp? { confirmed?.moment.at }

    /// Of several payments or shipments, the one with the latest moment.
    public var paid: Register<PaymentFact>? { payments.latest(\.completed) }
    public var failed: Register<PaymentFact>? { payments.latest(\.failed) }
    public var refunded: Register<PaymentFact>? { payments.latest(\.refunds.last) }
    public var shipped: Register<ShippedFact>? { shipments.latest(\.created) }
    public var delivered: Register<DeliveredFact>? {
        shipments.latest { shipment in
            shipment.delivered.map { Register($0, DeliveredFact(shipmentID: shipment.id)) }
        }
    }

    /// The number of completed payments that are not refunded completely.
    var unrefundedPayments: Int { payments.all.count(where: \.isUnrefunded) }
    /// The number of shipments that are not delivered.
    var undeliveredShipments: Int { shipments.all.count { $0.delivered == nil } }

    public var paymentStatus: PaymentStatus { PaymentStatus(payments) }
    public var shipmentStatus: ShipmentStatus { ShipmentStatus(shipments) }

    public var status: OrderStatus {
        OrderStatus(
            isCreated: created != nil, isConfirmed: confirmed != nil, isCancelled: cancelled != nil,
            payments: paymentStatus, shipments: shipmentStatus)
    }

    /// Whether the order is neither cancelled nor delivered.
    public var isOpen: Bool { status.isOpen }
}

public import Events
public import Orders
public import StreamCore

/// What is known of one order: a row of the read model, and just as well the change that some events make to it. Both
/// are elements of one join-semilattice: ``merge(_:)`` is commutative, associative and idempotent, so that any
/// interleaving, any splitting into batches and any duplication of events make the same row.
///
/// Facts of one aggregate (the order, a payment, a shipment) are ordered by its sequence alone, and kept apart from
/// those of others. What is shown of several payments or shipments is the fact of the latest moment.
public struct OrderSummaryRow: Hashable, Sendable {
    public let orderID: String
    /// The last of the order's own events.
    public private(set) var last: EventStamp?
    public private(set) var confirmed: EventStamp?
    /// nil before the first event that has lines.
    public private(set) var items: OrderItems?
    public private(set) var created: Register<CreatedFact>?
    public private(set) var cancelled: Register<OrderCancelled>?
    public private(set) var payments = AggregateMap<PaymentFacts<PaymentFact>>()
    public private(set) var shipments = AggregateMap<ShipmentFacts<ShippedFact>>()

    /// What one event tells of its order.
    public init(_ event: OrderEvent) {
        orderID = event.orderID
        merge(event)
    }

    /// A row that was stored.
    init(
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

    /// Takes over what an event of the same order tells.
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

    /// Takes over what `other`, of the same order, knows.
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

// MARK: - what follows from the facts: the same as what the table says, which a test keeps equal

extension OrderSummaryRow {
    /// The greatest sequence of the order's own events; 0 before the first.
    public var version: Int64 { last?.sequence ?? 0 }

    /// The latest moment of the last events of all aggregates.
    public var lastMoment: EventMoment? {
        [last?.moment, payments.lastMoment, shipments.lastMoment].lazy.compactMap(\.self).max()
    }

    public var updatedAt: Timestamp? { lastMoment?.at }
    public var confirmedAt: Timestamp? { confirmed?.moment.at }

    /// Of several payments and shipments, that of the latest moment.
    public var paid: Register<PaymentFact>? { payments.latest(\.completed) }
    public var failed: Register<PaymentFact>? { payments.latest(\.failed) }
    public var refunded: Register<PaymentFact>? { payments.latest(\.refunds.last) }
    public var shipped: Register<ShippedFact>? { shipments.latest(\.created) }
    public var delivered: Register<DeliveredFact>? {
        shipments.latest { shipment in
            shipment.delivered.map { Register($0, DeliveredFact(shipmentID: shipment.id)) }
        }
    }

    /// Completed payments that are not refunded as a whole.
    var unrefundedPayments: Int { payments.all.count(where: \.isUnrefunded) }
    /// Shipments that are not delivered.
    var undeliveredShipments: Int { shipments.all.count { $0.delivered == nil } }

    public var paymentStatus: PaymentStatus { PaymentStatus(payments) }
    public var shipmentStatus: ShipmentStatus { ShipmentStatus(shipments) }

    public var status: OrderStatus {
        OrderStatus(
            isCreated: created != nil, isConfirmed: confirmed != nil, isCancelled: cancelled != nil,
            payments: paymentStatus, shipments: shipmentStatus)
    }

    /// Whether more is to come: neither cancelled nor delivered.
    public var isOpen: Bool { status.isOpen }
}

public import Orders
public import StreamCore

/// What is known of one order: a row of the read model, and just as well the change that some events make to it. Both
/// are elements of one join-semilattice: ``merge(_:)`` is commutative, associative and idempotent, so that any
/// interleaving, any splitting into batches and any duplication of events make the same row.
public struct OrderSummaryRow: Hashable, Sendable {
    public let orderID: String
    /// The greatest sequence of the order's own events; 0 before the first.
    public private(set) var version: Int64
    /// The latest event of whatever aggregate.
    public private(set) var updatedAt: Timestamp
    public private(set) var lastEventID: EventID
    public private(set) var confirmedAt: Timestamp?
    /// nil before the first event that has lines.
    public private(set) var items: OrderItems?
    public private(set) var created: Register<CreatedFact>?
    public private(set) var cancelled: Register<OrderCancelled>?
    public private(set) var paid: Register<PaymentFact>?
    public private(set) var failed: Register<PaymentFact>?
    public private(set) var refunded: Register<PaymentFact>?
    public private(set) var shipped: Register<ShippedFact>?
    public private(set) var delivered: Register<DeliveredFact>?

    /// What one event tells of its order.
    public init(_ event: OrderEvent) {
        orderID = event.orderID
        version = 0
        updatedAt = event.identity.timestamp
        lastEventID = event.identity.eventID
        merge(event)
    }

    init(
        orderID: String, version: Int64, updatedAt: Timestamp, lastEventID: EventID, confirmedAt: Timestamp?,
        items: OrderItems?
    ) {
        self.orderID = orderID
        self.version = version
        self.updatedAt = updatedAt
        self.lastEventID = lastEventID
        self.confirmedAt = confirmedAt
        self.items = items
    }

    /// Takes over what an event of the same order tells.
    public mutating func merge(_ event: OrderEvent) {
        let identity = event.identity
        mergeLatest(identity.timestamp, identity.eventID)
        if event.aggregateType == .order { version = max(version, identity.sequence) }
        switch event.payload {
        case .orderCreated(let order):
            let fact = CreatedFact(
                customerID: order.customerID, currency: order.currency, shippingAddress: order.shippingAddress)
            Register.merge(register(fact, identity), into: &created)
            mergeItems(OrderItems(order.items, sequence: identity.sequence))
        case .itemAdded(let line): mergeItems(OrderItems([line], sequence: identity.sequence))
        case .itemRemoved(let productID): mergeItems(OrderItems(removing: productID, sequence: identity.sequence))
        case .orderConfirmed: mergeConfirmed(identity.timestamp)
        case .orderCancelled(let cancellation): Register.merge(register(cancellation, identity), into: &cancelled)
        case .paymentCompleted(let payment):
            let fact = PaymentFact(paymentID: identity.aggregateID, money: payment.money, detail: payment.method)
            Register.merge(register(fact, identity), into: &paid)
        case .paymentFailed(let payment): Register.merge(setback(payment, identity), into: &failed)
        case .paymentRefunded(let payment): Register.merge(setback(payment, identity), into: &refunded)
        case .shipmentCreated(let shipment):
            let fact = ShippedFact(
                shipmentID: identity.aggregateID, carrier: shipment.carrier, trackingNumber: shipment.trackingNumber)
            Register.merge(register(fact, identity), into: &shipped)
        case .shipmentDelivered:
            Register.merge(register(DeliveredFact(shipmentID: identity.aggregateID), identity), into: &delivered)
        }
    }

    /// Takes over what `other`, of the same order, knows.
    public mutating func merge(_ other: OrderSummaryRow) {
        mergeLatest(other.updatedAt, other.lastEventID)
        version = max(version, other.version)
        if let confirmedAt = other.confirmedAt { mergeConfirmed(confirmedAt) }
        if let items = other.items { mergeItems(items) }
        Register.merge(other.created, into: &created)
        Register.merge(other.cancelled, into: &cancelled)
        Register.merge(other.paid, into: &paid)
        Register.merge(other.failed, into: &failed)
        Register.merge(other.refunded, into: &refunded)
        Register.merge(other.shipped, into: &shipped)
        Register.merge(other.delivered, into: &delivered)
    }

    /// Takes over the lines that the stored row has.
    mutating func mergeItems(_ other: OrderItems) {
        if items == nil { items = other } else { items?.merge(other) }
    }

    private mutating func mergeLatest(_ timestamp: Timestamp, _ eventID: EventID) {
        guard timestamp > updatedAt || timestamp == updatedAt && eventID > lastEventID else { return }
        updatedAt = timestamp
        lastEventID = eventID
    }

    private mutating func mergeConfirmed(_ timestamp: Timestamp) {
        confirmedAt = max(confirmedAt ?? timestamp, timestamp)
    }

    private func register<Fact>(_ fact: Fact, _ identity: EventIdentity) -> Register<Fact> {
        Register(at: identity.timestamp, eventID: identity.eventID, fact: fact)
    }

    private func setback(_ payment: PaymentSetback, _ identity: EventIdentity) -> Register<PaymentFact> {
        register(
            PaymentFact(paymentID: identity.aggregateID, money: payment.money, detail: payment.reason), identity)
    }
}

extension OrderSummaryRow {
    /// Sets the facts that a stored row holds.
    mutating func restore(
        created: Register<CreatedFact>?, cancelled: Register<OrderCancelled>?, paid: Register<PaymentFact>?,
        failed: Register<PaymentFact>?, refunded: Register<PaymentFact>?, shipped: Register<ShippedFact>?,
        delivered: Register<DeliveredFact>?
    ) {
        self.created = created
        self.cancelled = cancelled
        self.paid = paid
        self.failed = failed
        self.refunded = refunded
        self.shipped = shipped
        self.delivered = delivered
    }
}

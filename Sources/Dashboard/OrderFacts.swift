public import Orders
public import StreamCore

/// What OrderCreated tells beside the lines.
public struct CreatedFact: Hashable, Sendable {
    public let customerID: String
    public let currency: Currency

    public init(customerID: String, currency: Currency) {
        self.customerID = customerID
        self.currency = currency
    }
}

/// Which shipment an event is of.
public struct ShipmentFact: Hashable, Sendable {
    public let shipmentID: String

    public init(shipmentID: String) {
        self.shipmentID = shipmentID
    }
}

/// What is known of one payment: each of its three fates, the latest event of the kind.
public struct PaymentFacts: Hashable, Sendable {
    public let paymentID: String
    public internal(set) var completed: Register<Money>?
    public internal(set) var failed: Register<Money>?
    public internal(set) var refunded: Register<Money>?

    public init(
        paymentID: String, completed: Register<Money>? = nil, failed: Register<Money>? = nil,
        refunded: Register<Money>? = nil
    ) {
        self.paymentID = paymentID
        self.completed = completed
        self.failed = failed
        self.refunded = refunded
    }

    mutating func merge(_ other: PaymentFacts) {
        Register.merge(other.completed, into: &completed)
        Register.merge(other.failed, into: &failed)
        Register.merge(other.refunded, into: &refunded)
    }
}

/// What is known of one order, and just as well what some events tell of it. Both are elements of one
/// join-semilattice: ``merge(_:)-(OrderFacts)`` is commutative, associative and idempotent, so that any interleaving,
/// any splitting into batches and any duplication of events give the same facts.
public struct OrderFacts: Hashable, Sendable {
    public let orderID: String
    public internal(set) var created: Register<CreatedFact>?
    /// The latest of each.
    public internal(set) var confirmedAt: Timestamp?
    public internal(set) var cancelledAt: Timestamp?
    /// When the first shipment was created.
    public internal(set) var firstShippedAt: Timestamp?
    /// The latest shipment, and the latest delivery.
    public internal(set) var shipped: Register<ShipmentFact>?
    public internal(set) var delivered: Register<ShipmentFact>?
    /// nil before the first event that has lines.
    public internal(set) var lines: OrderLines?
    /// In the order of their ids' bytes.
    public internal(set) var payments: [PaymentFacts] = []

    /// Nothing is known yet.
    public init(orderID: String) {
        self.orderID = orderID
    }

    /// What one event tells of its order.
    public init(_ event: OrderEvent) {
        orderID = event.orderID
        merge(event)
    }

    /// Whether nothing was told so far.
    var isEmpty: Bool {
        created == nil && confirmedAt == nil && cancelledAt == nil && shipped == nil && delivered == nil
            && lines == nil && payments.isEmpty
    }

    /// Takes over what an event of the same order tells.
    public mutating func merge(_ event: OrderEvent) {
        let identity = event.identity
        switch event.payload {
        case .orderCreated(let order):
            let fact = CreatedFact(customerID: order.customerID, currency: order.currency)
            Register.merge(Register(identity, fact), into: &created)
            merge(OrderLines(order.items, sequence: identity.sequence))
        case .itemAdded(let line): merge(OrderLines([line], sequence: identity.sequence))
        case .itemRemoved(let productID): merge(OrderLines(removing: productID, sequence: identity.sequence))
        case .orderConfirmed: Self.keepLatest(identity.timestamp, in: &confirmedAt)
        case .orderCancelled: Self.keepLatest(identity.timestamp, in: &cancelledAt)
        case .paymentCompleted(let payment):
            merge(PaymentFacts(paymentID: identity.aggregateID, completed: Register(identity, payment.money)))
        case .paymentFailed(let payment):
            merge(PaymentFacts(paymentID: identity.aggregateID, failed: Register(identity, payment.money)))
        case .paymentRefunded(let payment):
            merge(PaymentFacts(paymentID: identity.aggregateID, refunded: Register(identity, payment.money)))
        case .shipmentCreated:
            Self.keepEarliest(identity.timestamp, in: &firstShippedAt)
            let fact = ShipmentFact(shipmentID: identity.aggregateID)
            Register.merge(Register(identity, fact), into: &shipped)
        case .shipmentDelivered:
            let fact = ShipmentFact(shipmentID: identity.aggregateID)
            Register.merge(Register(identity, fact), into: &delivered)
        }
    }

    /// Takes over what `other`, of the same order, knows.
    public mutating func merge(_ other: OrderFacts) {
        Register.merge(other.created, into: &created)
        Self.keepLatest(other.confirmedAt, in: &confirmedAt)
        Self.keepLatest(other.cancelledAt, in: &cancelledAt)
        Self.keepEarliest(other.firstShippedAt, in: &firstShippedAt)
        Register.merge(other.shipped, into: &shipped)
        Register.merge(other.delivered, into: &delivered)
        if let lines = other.lines { merge(lines) }
        for payment in other.payments { merge(payment) }
    }

    private mutating func merge(_ other: OrderLines) {
        if lines == nil { lines = other } else { lines?.merge(other) }
    }

    private mutating func merge(_ payment: PaymentFacts) {
        let place = payments.firstIndex { ExactText.compare($0.paymentID, payment.paymentID) >= 0 } ?? payments.count
        if place < payments.count, ExactText.compare(payments[place].paymentID, payment.paymentID) == 0 {
            payments[place].merge(payment)
        } else {
            payments.insert(payment, at: place)
        }
    }

    private static func keepLatest(_ other: Timestamp?, in known: inout Timestamp?) {
        guard let other else { return }
        known = max(known ?? other, other)
    }

    private static func keepEarliest(_ other: Timestamp?, in known: inout Timestamp?) {
        guard let other else { return }
        known = min(known ?? other, other)
    }
}

public import Events
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

/// Of a shipment's creation nothing is kept but when it was.
public struct ShippedFact: Hashable, Sendable {
    public init() {}
}

/// When the order's last event of a kind was, by its sequence. Two events of one sequence and instant tell the same.
public struct OrderInstant: Hashable, Sendable {
    public let sequence: Int64
    public let at: Timestamp

    public init(sequence: Int64, at: Timestamp) {
        self.sequence = sequence
        self.at = at
    }

    init(_ identity: EventIdentity) {
        self.init(sequence: identity.sequence, at: identity.timestamp)
    }

    static func merge(_ other: OrderInstant?, into known: inout OrderInstant?) {
        guard let other else { return }
        guard let instant = known else { return known = other }
        if (instant.sequence, instant.at) < (other.sequence, other.at) { known = other }
    }
}

/// What is known of one order, and just as well what some events tell of it. Both are elements of one
/// join-semilattice: ``merge(_:)-(OrderFacts)`` is commutative, associative and idempotent, so that any interleaving,
/// any splitting into batches and any duplication of events give the same facts.
///
/// Facts of one aggregate (the order, a payment, a shipment) are ordered by its sequence alone, and kept apart from
/// those of others.
public struct OrderFacts: Hashable, Sendable {
    public let orderID: String
    public internal(set) var created: Register<CreatedFact>?
    public internal(set) var confirmed: OrderInstant?
    public internal(set) var cancelled: OrderInstant?
    /// When the first shipment was created.
    public internal(set) var firstShippedAt: Timestamp?
    /// nil before the first event that has lines.
    public internal(set) var lines: OrderLines?
    public internal(set) var payments = AggregateMap<PaymentFacts<Money>>()
    public internal(set) var shipments = AggregateMap<ShipmentFacts<ShippedFact>>()

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
        created == nil && confirmed == nil && cancelled == nil && lines == nil && payments.isEmpty && shipments.isEmpty
    }

    /// Takes over what an event of the same order tells.
    public mutating func merge(_ event: OrderEvent) {
        let identity = event.identity
        let stamp = EventStamp(identity)
        let id = identity.aggregateID
        switch event.payload {
        case .orderCreated(let order):
            let fact = CreatedFact(customerID: order.customerID, currency: order.currency)
            Register.merge(Register(stamp, fact), into: &created)
            merge(OrderLines(order.items, by: stamp))
        case .itemAdded(let line): merge(OrderLines([line], by: stamp))
        case .itemRemoved(let productID): merge(OrderLines(removing: productID, by: stamp))
        case .orderConfirmed: OrderInstant.merge(OrderInstant(identity), into: &confirmed)
        case .orderCancelled: OrderInstant.merge(OrderInstant(identity), into: &cancelled)
        case .paymentCompleted(let payment):
            payments.merge(PaymentFacts(id: id, completed: Register(stamp, payment.money)))
        case .paymentFailed(let payment):
            payments.merge(PaymentFacts(id: id, failed: Register(stamp, payment.money)))
        case .paymentRefunded(let payment):
            payments.merge(PaymentFacts(id: id, refunds: [Register(stamp, payment.money)]))
        case .shipmentCreated:
            Self.keepEarliest(identity.timestamp, in: &firstShippedAt)
            shipments.merge(ShipmentFacts(id: id, created: Register(stamp, ShippedFact())))
        case .shipmentDelivered: shipments.merge(ShipmentFacts(id: id, delivered: stamp))
        }
    }

    /// Takes over what `other`, of the same order, knows.
    public mutating func merge(_ other: OrderFacts) {
        Register.merge(other.created, into: &created)
        OrderInstant.merge(other.confirmed, into: &confirmed)
        OrderInstant.merge(other.cancelled, into: &cancelled)
        Self.keepEarliest(other.firstShippedAt, in: &firstShippedAt)
        if let lines = other.lines { merge(lines) }
        payments.merge(other.payments)
        shipments.merge(other.shipments)
    }

    private mutating func merge(_ other: OrderLines) {
        if lines == nil { lines = other } else { lines?.merge(other) }
    }

    private static func keepEarliest(_ other: Timestamp?, in known: inout Timestamp?) {
        guard let other else { return }
        known = min(known ?? other, other)
    }
}

// MARK: - what follows from the facts

extension OrderFacts {
    public var status: OrderStatus {
        OrderStatus(
            isCreated: created != nil, isConfirmed: confirmed != nil, isCancelled: cancelled != nil,
            payments: PaymentStatus(payments), shipments: ShipmentStatus(shipments))
    }

    /// When a payment was completed for the first time.
    var firstPaidAt: Timestamp? { payments.all.lazy.compactMap(\.completed?.at).min() }

    /// When the last shipment was delivered; nil unless all of them are.
    var deliveredAt: Timestamp? {
        guard ShipmentStatus(shipments) == .delivered else { return nil }
        return shipments.all.lazy.compactMap(\.delivered?.moment).max()?.at
    }
}

public import Events
public import Orders
public import StreamCore

/// The content of OrderCreated, except the lines.
public struct CreatedFact: Hashable, Sendable {
    public let customerID: String
    public let currency: Currency

    public init(customerID: String, currency: Currency) {
        self.customerID = customerID
        self.currency = currency
    }
}

/// The creation of a shipment. Only its time is kept, in the register.
public struct ShippedFact: Hashable, Sendable {
    public init() {}
}

/// The time of the order's last event of a kind, ordered by sequence. Two events with the same sequence and time are
/// equal.
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

/// The facts of one order, from all events or from a part of them. ``merge(_:)-(OrderFacts)`` is commutative,
/// associative and idempotent (a join-semilattice), so the result does not depend on the order of events, their
/// division into batches, or repetitions.
///
/// Facts of one aggregate (the order, a payment, a shipment) are ordered only by its sequence, and are kept separate
/// from those of other aggregates.
public struct OrderFacts: Hashable, Sendable {
    public let orderID: String
    public internal(set) var created: Register<CreatedFact>?
    public internal(set) var confirmed: OrderInstant?
    public internal(set) var cancelled: OrderInstant?
    /// The time when the first shipment was created.
    public internal(set) var firstShippedAt: Timestamp?
    /// nil before the first event with lines.
    public internal(set) var lines: OrderLines?
    public internal(set) var payments = AggregateMap<PaymentFacts<Money>>()
    public internal(set) var shipments = AggregateMap<ShipmentFacts<ShippedFact>>()

    /// An order without facts.
    public init(orderID: String) {
        self.orderID = orderID
    }

    /// The facts of one event.
    public init(_ event: OrderEvent) {
        orderID = event.orderID
        merge(event)
    }

    /// Whether there are no facts.
    var isEmpty: Bool {
        created == nil && confirmed == nil && cancelled == nil && lines == nil && payments.isEmpty && shipments.isEmpty
    }

    /// Merges an event of the same order.
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
        case .paymentAuthorized: break
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

    /// Merges the facts of `other`, which must belong to the same order.
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

// MARK: - values derived from the facts

extension OrderFacts {
    public var status: OrderStatus {
        OrderStatus(
            isCreated: created != nil, isConfirmed: confirmed != nil, isCancelled: cancelled != nil,
            payments: PaymentStatus(payments), shipments: ShipmentStatus(shipments))
    }

    /// The time when a payment was completed for the first time.
    var firstPaidAt: Timestamp? { payments.all.lazy.compactMap(\.completed?.at).min() }

    /// The time when the last shipment was delivered; nil unless all shipments are delivered.
    var deliveredAt: Timestamp? {
        guard ShipmentStatus(shipments) == .delivered else { return nil }
        return shipments.all.lazy.compactMap(\.delivered?.moment).max()?.at
    }
}

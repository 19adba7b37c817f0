internal import Events
internal import Orders
internal import StreamCore

/// A value from one event, with the identity of the event. Of two events of one aggregate the one with the greater
/// sequence wins, whatever their timestamps are.
struct Told<Value: Hashable & Sendable>: Hashable, Sendable {
    let sequence: Int64
    let at: Timestamp
    let eventID: EventID
    let value: Value

    init(_ identity: EventIdentity, _ value: Value) {
        self.init(sequence: identity.sequence, at: identity.timestamp, eventID: identity.eventID, value)
    }

    init(sequence: Int64, at: Timestamp, eventID: EventID, _ value: Value) {
        self.sequence = sequence
        self.at = at
        self.eventID = eventID
        self.value = value
    }

    static func merge(_ other: Told?, into known: inout Told?) {
        guard let other else { return }
        if let known, (known.sequence, known.at, known.eventID) >= (other.sequence, other.at, other.eventID) { return }
        known = other
    }
}

/// The value of an event that has no content.
struct Happened: Hashable, Sendable {}

struct CreatedOrder: Hashable, Sendable {
    let customerID: String
    let currency: String
    /// Name, street, city, postal code and country, one line each.
    let address: String
}

struct Cancellation: Hashable, Sendable {
    let reason: String
    let by: String
}

/// The last known state of one product in an order.
struct LineFacts: Hashable, Sendable {
    struct Content: Hashable, Sendable {
        let name: String
        let quantity: Int64
        let price: DecimalAmount
    }

    let productID: ExactText
    let sequence: Int64
    /// The line; nil if the product was removed.
    let content: Content?
}

/// The facts of one payment.
struct PaymentFacts: Hashable, Sendable {
    enum Fate: UInt8, CaseIterable, Sendable {
        case completed, failed, refunded
    }

    struct Content: Hashable, Sendable {
        let fate: Fate
        let amount: DecimalAmount
        let currency: String
        /// The method of a completed payment, or the reason of a failed or refunded one.
        let detail: String
    }

    let id: ExactText
    var seen = SequenceSet()
    /// The last completion, the last failure, and every refund, because a payment can be refunded in parts.
    private(set) var fates: [Told<Content>] = []

    init(id: ExactText) {
        self.id = id
    }

    /// The last event with this fate.
    subscript(fate: Fate) -> Told<Content>? { fates.last { $0.value.fate == fate } }

    /// The refunds, ordered by sequence.
    var refunds: [Told<Content>] { fates.filter { $0.value.fate == .refunded } }

    var last: Told<Content>? { fates.max { ($0.sequence, $0.at, $0.eventID) < ($1.sequence, $1.at, $1.eventID) } }

    mutating func merge(_ told: Told<Content>) {
        let place = fates.firstIndex { Self.slot($0) >= Self.slot(told) } ?? fates.endIndex
        guard place < fates.endIndex, Self.slot(fates[place]) == Self.slot(told) else {
            return fates.insert(told, at: place)
        }
        var known: Told<Content>? = fates[place]
        Told.merge(told, into: &known)
        if let known { fates[place] = known }
    }

    /// The slot of an event. A later event replaces an earlier one in the same slot: for completions and failures every
    /// event of the same fate, for refunds only one with the same sequence.
    private static func slot(_ told: Told<Content>) -> (UInt8, Int64) {
        (told.value.fate.rawValue, told.value.fate == .refunded ? told.sequence : 0)
    }

    mutating func merge(_ other: PaymentFacts) {
        seen.formUnion(other.seen)
        for told in other.fates { merge(told) }
    }
}

/// The facts of one shipment.
struct ShipmentFacts: Hashable, Sendable {
    struct Parcel: Hashable, Sendable {
        let carrier: String
        let trackingNumber: String
    }

    let id: ExactText
    var seen = SequenceSet()
    var created: Told<Parcel>?
    var delivered: Told<Happened>?

    init(id: ExactText) {
        self.id = id
    }

    mutating func merge(_ other: ShipmentFacts) {
        seen.formUnion(other.seen)
        Told.merge(other.created, into: &created)
        Told.merge(other.delivered, into: &delivered)
    }
}

/// The facts of one order, its payments and its shipments. Each aggregate is ordered by its own sequence.
///
/// Merging is commutative, associative and idempotent, so topics can be read in any order and events more than once.
/// This intentionally repeats what the projections do, so that a mistake in their code is not repeated here.
struct OrderFacts: Hashable, Sendable {
    /// The sequences of the order's own events.
    var seen = SequenceSet()
    /// The order's own last event.
    var last: Told<Happened>?
    var created: Told<CreatedOrder>?
    var confirmed: Told<Happened>?
    var cancelled: Told<Cancellation>?
    /// The lines, ordered by the bytes of the product ids.
    private(set) var lines: [LineFacts] = []
    /// The payments, ordered by the bytes of their ids.
    private(set) var payments: [PaymentFacts] = []
    private(set) var shipments: [ShipmentFacts] = []

    init() {}

    /// The sequences of one aggregate's events.
    func seen(of aggregate: AggregateType, _ id: ExactText) -> SequenceSet {
        switch aggregate {
        case .order: seen
        case .payment: payments.first { $0.id == id }?.seen ?? SequenceSet()
        case .shipment: shipments.first { $0.id == id }?.seen ?? SequenceSet()
        }
    }

    mutating func merge(_ event: OrderEvent) {
        let identity = event.identity
        let id = ExactText(identity.aggregateID)
        if event.aggregateType == .order {
            seen.insert(identity.sequence)
            Told.merge(Told(identity, Happened()), into: &last)
        }
        switch event.payload {
        case .orderCreated(let order):
            let address = order.shippingAddress
            let told = CreatedOrder(
                customerID: order.customerID, currency: order.currency.code,
                address: [address.name, address.street, address.city, address.postalCode, address.country]
                    .joined(separator: "\n"))
            Told.merge(Told(identity, told), into: &created)
            for line in order.items { merge(line, identity.sequence) }
        case .itemAdded(let line): merge(line, identity.sequence)
        case .itemRemoved(let product):
            merge(LineFacts(productID: ExactText(product), sequence: identity.sequence, content: nil))
        case .orderConfirmed: Told.merge(Told(identity, Happened()), into: &confirmed)
        case .orderCancelled(let cancellation):
            let told = Cancellation(reason: cancellation.reason, by: cancellation.cancelledBy)
            Told.merge(Told(identity, told), into: &cancelled)
        case .paymentAuthorized:
            var facts = PaymentFacts(id: id)
            facts.seen.insert(identity.sequence)
            merge(facts)
        case .paymentCompleted(let payment): merge(.completed, payment.money, payment.method, identity)
        case .paymentFailed(let payment): merge(.failed, payment.money, payment.reason, identity)
        case .paymentRefunded(let payment): merge(.refunded, payment.money, payment.reason, identity)
        case .shipmentCreated(let shipment):
            var facts = ShipmentFacts(id: id)
            facts.seen.insert(identity.sequence)
            let parcel = ShipmentFacts.Parcel(carrier: shipment.carrier, trackingNumber: shipment.trackingNumber)
            facts.created = Told(identity, parcel)
            merge(facts)
        case .shipmentDelivered:
            var facts = ShipmentFacts(id: id)
            facts.seen.insert(identity.sequence)
            facts.delivered = Told(identity, Happened())
            merge(facts)
        }
    }

    mutating func merge(_ other: OrderFacts) {
        seen.formUnion(other.seen)
        Told.merge(other.last, into: &last)
        Told.merge(other.created, into: &created)
        Told.merge(other.confirmed, into: &confirmed)
        Told.merge(other.cancelled, into: &cancelled)
        for line in other.lines { merge(line) }
        for payment in other.payments { merge(payment) }
        for shipment in other.shipments { merge(shipment) }
    }

    private mutating func merge(_ line: OrderLine, _ sequence: Int64) {
        let content = LineFacts.Content(name: line.name, quantity: Int64(line.quantity), price: line.unitPrice)
        merge(LineFacts(productID: ExactText(line.productID), sequence: sequence, content: content))
    }

    private mutating func merge(
        _ fate: PaymentFacts.Fate, _ money: Money, _ detail: String, _ identity: EventIdentity
    ) {
        var facts = PaymentFacts(id: ExactText(identity.aggregateID))
        facts.seen.insert(identity.sequence)
        let content = PaymentFacts.Content(
            fate: fate, amount: money.amount, currency: money.currency.code, detail: detail)
        facts.merge(Told(identity, content))
        merge(facts)
    }

    mutating func merge(_ line: LineFacts) {
        let place = lines.firstIndex { $0.productID >= line.productID } ?? lines.endIndex
        if place < lines.endIndex, lines[place].productID == line.productID {
            // If one event contains two lines of a product, the later line wins.
            if lines[place].sequence <= line.sequence { lines[place] = line }
        } else {
            lines.insert(line, at: place)
        }
    }

    mutating func merge(_ payment: PaymentFacts) {
        let place = payments.firstIndex { $0.id >= payment.id } ?? payments.endIndex
        if place < payments.endIndex, payments[place].id == payment.id {
            payments[place].merge(payment)
        } else {
            payments.insert(payment, at: place)
        }
    }

    mutating func merge(_ shipment: ShipmentFacts) {
        let place = shipments.firstIndex { $0.id >= shipment.id } ?? shipments.endIndex
        if place < shipments.endIndex, shipments[place].id == shipment.id {
            shipments[place].merge(shipment)
        } else {
            shipments.insert(shipment, at: place)
        }
    }
}

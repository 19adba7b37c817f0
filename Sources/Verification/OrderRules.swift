internal import Events
internal import Orders
internal import StreamCore

/// What follows from an order's facts: the rules of the read models, said a second time.
///
/// On purpose this shares no code with the projections, so that a mistake in their rules shows as a difference. Whoever
/// changes a rule there changes it here as well.
extension OrderFacts {
    typealias Payment = (id: ExactText, told: Told<PaymentFacts.Content>)
    typealias Shipment<Value: Hashable & Sendable> = (id: ExactText, told: Told<Value>)

    /// The payment that met `fate` last. Between aggregates the clock decides, then the event id.
    func lastPayment(_ fate: PaymentFacts.Fate) -> Payment? {
        payments.compactMap { payment in payment[fate].map { (payment.id, $0) } }
            .max { ($0.1.at, $0.1.eventID) < ($1.1.at, $1.1.eventID) }
    }

    var lastShipped: Shipment<ShipmentFacts.Parcel>? {
        shipments.compactMap { shipment in shipment.created.map { (shipment.id, $0) } }
            .max { ($0.1.at, $0.1.eventID) < ($1.1.at, $1.1.eventID) }
    }

    var lastDelivered: Shipment<Happened>? {
        shipments.compactMap { shipment in shipment.delivered.map { (shipment.id, $0) } }
            .max { ($0.1.at, $0.1.eventID) < ($1.1.at, $1.1.eventID) }
    }

    /// A payment that was made stays made when another one fails. All is refunded when the refunds of each completed
    /// payment, in its currency, make up for it.
    var paymentStatus: String {
        let paid = payments.filter { $0[.completed] != nil }
        if payments.contains(where: { $0[.refunded] != nil }) {
            return paid.allSatisfy(\.isRefunded) ? "refunded" : "partially_refunded"
        }
        if !paid.isEmpty { return "paid" }
        return lastPayment(.failed) == nil ? "pending" : "failed"
    }

    /// All is delivered when each shipment is.
    var shipmentStatus: String {
        if shipments.isEmpty { return "pending" }
        let delivered = shipments.filter { $0.delivered != nil }
        if delivered.isEmpty { return "shipped" }
        return delivered.count == shipments.count ? "delivered" : "partially_delivered"
    }

    /// How far the order has come.
    var status: String {
        if created == nil { return "incomplete" }
        if cancelled != nil { return "cancelled" }
        if shipmentStatus != "pending" { return shipmentStatus }
        if ["paid", "partially_refunded"].contains(paymentStatus) { return "paid" }
        return confirmed == nil ? "created" : "confirmed"
    }

    /// The last event of whichever aggregate.
    var latest: (at: Timestamp, eventID: EventID)? {
        var all: [(at: Timestamp, eventID: EventID)] = []
        if let last { all.append((last.at, last.eventID)) }
        for payment in payments { if let last = payment.last { all.append((last.at, last.eventID)) } }
        for shipment in shipments {
            if let told = shipment.created { all.append((told.at, told.eventID)) }
            if let told = shipment.delivered { all.append((told.at, told.eventID)) }
        }
        return all.max { ($0.at, $0.eventID) < ($1.at, $1.eventID) }
    }

    var firstPaidAt: Timestamp? { payments.compactMap { $0[.completed]?.at }.min() }
    var firstShippedAt: Timestamp? { shipments.compactMap { $0.created?.at }.min() }
    /// When the delivery was that delivers the order; nil while it is not delivered.
    var deliveredAt: Timestamp? { shipmentStatus == "delivered" ? lastDelivered?.told.at : nil }
}

extension PaymentFacts {
    /// Whether the refunds of a completed payment make up for it.
    fileprivate var isRefunded: Bool {
        guard let paid = self[.completed]?.value else { return true }
        var sum: DecimalAmount?
        for refund in refunds where refund.value.currency == paid.currency {
            // A sum of more than 38 digits is more than any payment.
            guard let next = try? (sum ?? .zero).adding(refund.value.amount) else { return true }
            sum = next
        }
        return sum.map { $0 >= paid.amount } ?? false
    }
}

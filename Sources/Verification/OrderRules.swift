internal import Events
internal import Orders
internal import StreamCore

/// The rules of the read models, implemented a second time on an order's facts.
///
/// They intentionally share no code with the projections, so that a mistake in one implementation appears as a
/// difference. A change of a rule must be made in both.
extension OrderFacts {
    typealias Payment = (id: ExactText, told: Told<PaymentFacts.Content>)
    typealias Shipment<Value: Hashable & Sendable> = (id: ExactText, told: Told<Value>)

    /// The last payment with `fate`. Payments are compared by time, then by event id.
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

    /// The status of all payments. A failure does not undo another completed payment. The order is refunded if the
    /// refunds of each completed payment, in its currency, cover it.
    var paymentStatus: String {
        let paid = payments.filter { $0[.completed] != nil }
        if payments.contains(where: { $0[.refunded] != nil }) {
            return paid.allSatisfy(\.isRefunded) ? "refunded" : "partially_refunded"
        }
        if !paid.isEmpty { return "paid" }
        return lastPayment(.failed) == nil ? "pending" : "failed"
    }

    /// The status of all shipments.
    var shipmentStatus: String {
        if shipments.isEmpty { return "pending" }
        let delivered = shipments.filter { $0.delivered != nil }
        if delivered.isEmpty { return "shipped" }
        return delivered.count == shipments.count ? "delivered" : "partially_delivered"
    }

    /// The status of the order.
    var status: String {
        if created == nil { return "incomplete" }
        if cancelled != nil { return "cancelled" }
        if shipmentStatus != "pending" { return shipmentStatus }
        if ["paid", "partially_refunded"].contains(paymentStatus) { return "paid" }
        return confirmed == nil ? "created" : "confirmed"
    }

    /// The last event of the order, its payments and its shipments.
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
    /// The time of the delivery that completed the order; nil while it is not delivered.
    var deliveredAt: Timestamp? { shipmentStatus == "delivered" ? lastDelivered?.told.at : nil }
}

extension PaymentFacts {
    /// Whether the refunds of a completed payment cover it.
    fileprivate var isRefunded: Bool {
        guard let paid = self[.completed]?.value else { return true }
        var sum: DecimalAmount?
        for refund in refunds where refund.value.currency == paid.currency {
            // A sum that overflows is larger than any payment.
            guard let next = try? (sum ?? .zero).adding(refund.value.amount) else { return true }
            sum = next
        }
        return sum.map { $0 >= paid.amount } ?? false
    }
}

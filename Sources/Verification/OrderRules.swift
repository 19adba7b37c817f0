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

    /// A payment that was made stays made when another one fails. A refund undoes the payment that it is of, and any
    /// older one.
    var paymentStatus: String {
        let paid = lastPayment(.completed)
        if let refunded = lastPayment(.refunded) {
            guard let paid else { return "refunded" }
            return refunded.id == paid.id || refunded.told.at >= paid.told.at ? "refunded" : "paid"
        }
        if paid != nil { return "paid" }
        return lastPayment(.failed) == nil ? "pending" : "failed"
    }

    /// The delivery of an earlier shipment does not deliver a later one.
    var shipmentStatus: String {
        let shipped = lastShipped
        if let delivered = lastDelivered {
            guard let shipped else { return "delivered" }
            return delivered.id == shipped.id || delivered.told.at >= shipped.told.at ? "delivered" : "shipped"
        }
        return shipped == nil ? "pending" : "shipped"
    }

    /// How far the order has come.
    var status: String {
        if created == nil { return "incomplete" }
        if cancelled != nil { return "cancelled" }
        if shipmentStatus != "pending" { return shipmentStatus }
        if paymentStatus == "paid" { return "paid" }
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

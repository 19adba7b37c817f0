internal import Orders
internal import StreamCore

/// How far an order has come, by the rules of the read model `order_summary`, so that both tell the same of it. The
/// raw values are the column `status`.
public enum OrderStatus: String, CaseIterable, Hashable, Sendable {
    /// Other events told of it before OrderCreated came.
    case incomplete
    case created
    case confirmed
    case paid
    case shipped
    case delivered
    case cancelled
}

extension OrderFacts {
    public var status: OrderStatus {
        if created == nil { return .incomplete }
        if cancelledAt != nil { return .cancelled }
        if isDelivered { return .delivered }
        if shipped != nil { return .shipped }
        if isPaid { return .paid }
        return confirmedAt != nil ? .confirmed : .created
    }

    /// The delivery of an earlier shipment does not deliver a later one.
    var isDelivered: Bool {
        guard let delivered else { return false }
        guard let shipped else { return true }
        let isOfThatShipment = ExactText.compare(delivered.fact.shipmentID, shipped.fact.shipmentID) == 0
        return isOfThatShipment || delivered.at >= shipped.at
    }

    /// A payment that was made stays made when another one fails. A refund undoes the payment that it is of, and any
    /// older one.
    private var isPaid: Bool {
        guard let (payment, completed) = latest(\.completed) else { return false }
        guard let (refundedPayment, refunded) = latest(\.refunded) else { return true }
        return payment != refundedPayment && refunded.at < completed.at
    }

    /// - Returns: the place of the payment that `fate` struck last, and what that was.
    private func latest(_ fate: KeyPath<PaymentFacts, Register<Money>?>) -> (payment: Int, Register<Money>)? {
        var found: (payment: Int, register: Register<Money>)?
        for (place, payment) in payments.enumerated() {
            guard let register = payment[keyPath: fate] else { continue }
            if let known = found,
                (known.register.at, known.register.eventID) >= (register.at, register.eventID)
            {
                continue
            }
            found = (place, register)
        }
        return found.map { ($0.payment, $0.register) }
    }

    /// When a payment was completed for the first time.
    var firstPaidAt: Timestamp? { payments.lazy.compactMap(\.completed?.at).min() }
}

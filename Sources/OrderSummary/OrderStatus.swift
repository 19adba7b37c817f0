/// How far an order has come. The raw values are the column `status`.
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

/// The raw values are the column `payment_status`.
public enum PaymentStatus: String, CaseIterable, Hashable, Sendable {
    case pending
    case failed
    case paid
    case refunded
}

/// The raw values are the column `shipment_status`.
public enum ShipmentStatus: String, CaseIterable, Hashable, Sendable {
    case pending
    case shipped
    case delivered
}

/// The statuses as functions of the facts: the same as the table's generated columns, which a test keeps equal.
extension OrderSummaryRow {
    /// A payment that was made stays made when another one fails. A refund undoes the payment that it is of, and any
    /// older one.
    public var paymentStatus: PaymentStatus {
        guard let refunded else { return paid != nil ? .paid : failed != nil ? .failed : .pending }
        guard let paid else { return .refunded }
        let isOfThatPayment = ExactText(refunded.fact.paymentID) == ExactText(paid.fact.paymentID)
        return isOfThatPayment || refunded.at >= paid.at ? .refunded : .paid
    }

    /// The delivery of an earlier shipment does not deliver a later one.
    public var shipmentStatus: ShipmentStatus {
        guard let delivered else { return shipped != nil ? .shipped : .pending }
        guard let shipped else { return .delivered }
        let isOfThatShipment = ExactText(delivered.fact.shipmentID) == ExactText(shipped.fact.shipmentID)
        return isOfThatShipment || delivered.at >= shipped.at ? .delivered : .shipped
    }

    public var status: OrderStatus {
        if created == nil { return .incomplete }
        if cancelled != nil { return .cancelled }
        switch shipmentStatus {
        case .delivered: return .delivered
        case .shipped: return .shipped
        case .pending: break
        }
        if paymentStatus == .paid { return .paid }
        return confirmedAt != nil ? .confirmed : .created
    }

    /// Whether more is to come: neither cancelled nor delivered.
    public var isOpen: Bool { status != .cancelled && status != .delivered }
}

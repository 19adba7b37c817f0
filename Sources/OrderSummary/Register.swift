public import Orders
public import StreamCore

/// A fact, and the event that told it. Of two, the later one holds: the greater instant, then the greater event id,
/// so that which of them is met first makes no difference.
public struct Register<Fact: Hashable & Sendable>: Hashable, Sendable {
    public let at: Timestamp
    public let eventID: EventID
    public let fact: Fact

    public init(at: Timestamp, eventID: EventID, fact: Fact) {
        self.at = at
        self.eventID = eventID
        self.fact = fact
    }

    /// The later of what is known and what is told, either of which may be nothing.
    static func merge(_ other: Register?, into register: inout Register?) {
        guard let other else { return }
        if let known = register, !known.isBefore(other) { return }
        register = other
    }

    private func isBefore(_ other: Register) -> Bool {
        at == other.at ? eventID < other.eventID : at < other.at
    }
}

/// What OrderCreated tells beside the lines.
public struct CreatedFact: Hashable, Sendable {
    public let customerID: String
    public let currency: Currency
    public let shippingAddress: ShippingAddress

    public init(customerID: String, currency: Currency, shippingAddress: ShippingAddress) {
        self.customerID = customerID
        self.currency = currency
        self.shippingAddress = shippingAddress
    }
}

/// What an event of a payment tells.
public struct PaymentFact: Hashable, Sendable {
    public let paymentID: String
    public let money: Money
    /// The method of a payment that was completed, the reason of one that failed or was refunded.
    public let detail: String

    public init(paymentID: String, money: Money, detail: String) {
        self.paymentID = paymentID
        self.money = money
        self.detail = detail
    }
}

/// What ShipmentCreated tells.
public struct ShippedFact: Hashable, Sendable {
    public let shipmentID: String
    public let carrier: String
    public let trackingNumber: String

    public init(shipmentID: String, carrier: String, trackingNumber: String) {
        self.shipmentID = shipmentID
        self.carrier = carrier
        self.trackingNumber = trackingNumber
    }
}

/// What ShipmentDelivered tells.
public struct DeliveredFact: Hashable, Sendable {
    public let shipmentID: String

    public init(shipmentID: String) {
        self.shipmentID = shipmentID
    }
}

public import Events
public import Orders

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
public struct PaymentFact: PaymentDetail {
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

public import Events
public import Orders

/// The content of OrderCreated, except the lines.
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

/// The content of an event of a payment.
public struct PaymentFact: PaymentDetail {
    public let paymentID: String
    public let money: Money
    /// The method of a completed payment, or the reason of a failed or refunded one.
    public let detail: String

    public init(paymentID: String, money: Money, detail: String) {
        self.paymentID = paymentID
        self.money = money
        self.detail = detail
    }
}

/// The content of ShipmentCreated.
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

/// The content of ShipmentDelivered.
public struct DeliveredFact: Hashable, Sendable {
    public let shipmentID: String

    public init(shipmentID: String) {
        self.shipmentID = shipmentID
    }
}

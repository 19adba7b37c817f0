public import StreamCore

/// One line of an order: a product, how many, and at what price.
public struct ShopLine: Hashable, Sendable {
    public let productID: String
    public let name: String
    public let quantity: Int
    public let unitPrice: ShopAmount

    /// What the line costs, in minor units.
    var minorUnits: Int64 { unitPrice.minorUnits * Int64(quantity) }
}

/// Where an order goes.
public struct ShopAddress: Hashable, Sendable {
    public let name: String
    public let street: String
    public let city: String
    public let postalCode: String
    public let country: String
}

/// What happened, in the shop's terms.
public enum ShopFact: Hashable, Sendable {
    case orderCreated(customerID: String, currency: ShopCurrency, lines: [ShopLine], address: ShopAddress)
    case itemAdded(ShopLine)
    case itemRemoved(productID: String)
    case orderConfirmed
    case orderCancelled(reason: String, by: String)
    case paymentCompleted(ShopAmount, method: String)
    case paymentFailed(ShopAmount, reason: String)
    case paymentRefunded(ShopAmount, reason: String)
    case shipmentCreated(carrier: String, trackingNumber: String)
    case shipmentDelivered
}

/// One event of the shop: a change of the write model and, at the same time, a row of the outbox.
public struct ShopEvent: Hashable, Sendable {
    /// What changes by itself, under a version of its own.
    public enum Aggregate: String, Hashable, Sendable {
        case order = "Order"
        case payment = "Payment"
        case shipment = "Shipment"
    }

    /// A UUIDv7 of the event's time.
    public let id: EventID
    public let aggregate: Aggregate
    public let aggregateID: String
    /// The order that it is about; for events of the order itself its own id.
    public let orderID: String
    public let customerID: String
    /// 1, 2, … within the aggregate.
    public let sequence: Int64
    /// Within one order, each event is later than the one before, whatever the clock does.
    public let timestamp: Timestamp
    /// The id of the order's first event.
    public let correlationID: EventID
    /// The id of the order's event before this one; nil for the first.
    public let causationID: EventID?
    public let fact: ShopFact
}

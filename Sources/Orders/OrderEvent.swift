public import Events
internal import StreamCore

/// One event of an order, a payment or a shipment.
public typealias OrderEvent = Event<OrderEventPayload>

/// From a record's bytes to an event of an order, a payment or a shipment.
public typealias OrderEventDecoder = EventDecoder<OrderEventPayload>

extension Event where Payload == OrderEventPayload {
    /// The order that the event is about, whichever aggregate it belongs to.
    public var orderID: String {
        switch payload {
        case .orderCreated, .itemAdded, .itemRemoved, .orderConfirmed, .orderCancelled: identity.aggregateID
        case .paymentCompleted(let payment): payment.orderID
        case .paymentFailed(let payment), .paymentRefunded(let payment): payment.orderID
        case .shipmentCreated(let shipment): shipment.orderID
        case .shipmentDelivered(let delivery): delivery.orderID
        }
    }
}

/// What happened.
public enum OrderEventPayload: Hashable, Sendable {
    case orderCreated(OrderCreated)
    /// The line takes the place of an earlier one of the same product.
    case itemAdded(OrderLine)
    case itemRemoved(productID: String)
    case orderConfirmed
    case orderCancelled(OrderCancelled)
    case paymentCompleted(PaymentCompleted)
    case paymentFailed(PaymentSetback)
    case paymentRefunded(PaymentSetback)
    case shipmentCreated(ShipmentCreated)
    case shipmentDelivered(ShipmentDelivered)

    public var type: OrderEventType {
        switch self {
        case .orderCreated: .orderCreated
        case .itemAdded: .itemAdded
        case .itemRemoved: .itemRemoved
        case .orderConfirmed: .orderConfirmed
        case .orderCancelled: .orderCancelled
        case .paymentCompleted: .paymentCompleted
        case .paymentFailed: .paymentFailed
        case .paymentRefunded: .paymentRefunded
        case .shipmentCreated: .shipmentCreated
        case .shipmentDelivered: .shipmentDelivered
        }
    }
}

public struct OrderCreated: Hashable, Sendable {
    public let customerID: String
    /// Of all the order's prices.
    public let currency: Currency
    public let items: [OrderLine]
    public let shippingAddress: ShippingAddress

    public init(customerID: String, currency: Currency, items: [OrderLine], shippingAddress: ShippingAddress) {
        self.customerID = customerID
        self.currency = currency
        self.items = items
        self.shippingAddress = shippingAddress
    }
}

/// So many of one product.
public struct OrderLine: Hashable, Sendable {
    public let productID: String
    public let name: String
    /// From 1.
    public let quantity: Int32
    /// Of one piece, in the order's currency.
    public let unitPrice: DecimalAmount

    public init(productID: String, name: String, quantity: Int32, unitPrice: DecimalAmount) {
        self.productID = productID
        self.name = name
        self.quantity = quantity
        self.unitPrice = unitPrice
    }
}

public struct ShippingAddress: Hashable, Sendable {
    public let name: String
    public let street: String
    public let city: String
    public let postalCode: String
    public let country: String

    public init(name: String, street: String, city: String, postalCode: String, country: String) {
        self.name = name
        self.street = street
        self.city = city
        self.postalCode = postalCode
        self.country = country
    }
}

public struct OrderCancelled: Hashable, Sendable {
    public let reason: String
    public let cancelledBy: String

    public init(reason: String, cancelledBy: String) {
        self.reason = reason
        self.cancelledBy = cancelledBy
    }
}

public struct PaymentCompleted: Hashable, Sendable {
    public let orderID: String
    public let money: Money
    /// `card`, `invoice` and the like.
    public let method: String

    public init(orderID: String, money: Money, method: String) {
        self.orderID = orderID
        self.money = money
        self.method = method
    }
}

/// A payment that failed or was refunded.
public struct PaymentSetback: Hashable, Sendable {
    public let orderID: String
    public let money: Money
    public let reason: String

    public init(orderID: String, money: Money, reason: String) {
        self.orderID = orderID
        self.money = money
        self.reason = reason
    }
}

public struct ShipmentCreated: Hashable, Sendable {
    public let orderID: String
    public let carrier: String
    public let trackingNumber: String

    public init(orderID: String, carrier: String, trackingNumber: String) {
        self.orderID = orderID
        self.carrier = carrier
        self.trackingNumber = trackingNumber
    }
}

public struct ShipmentDelivered: Hashable, Sendable {
    public let orderID: String

    public init(orderID: String) {
        self.orderID = orderID
    }
}

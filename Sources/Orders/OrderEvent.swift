public import Events
internal import StreamCore

/// An event of an order, a payment or a shipment.
public typealias OrderEvent = Event<OrderEventPayload>

/// Decodes events of orders, payments and shipments.
public typealias OrderEventDecoder = EventDecoder<OrderEventPayload>

extension Event where Payload == OrderEventPayload {
    /// The id of the order that the event concerns, for events of all three aggregate types.
    public var orderID: String {
        switch payload {
        case .orderCreated, .itemAdded, .itemRemoved, .orderConfirmed, .orderCancelled: identity.aggregateID
        case .paymentAuthorized(let payment): payment.orderID
        case .paymentCompleted(let payment): payment.orderID
        case .paymentFailed(let payment), .paymentRefunded(let payment): payment.orderID
        case .shipmentCreated(let shipment): shipment.orderID
        case .shipmentDelivered(let delivery): delivery.orderID
        }
    }
}

/// The payload of an event of an order, a payment or a shipment.
public enum OrderEventPayload: Hashable, Sendable {
    case orderCreated(OrderCreated)
    /// A line was added. It replaces an earlier line of the same product.
    case itemAdded(OrderLine)
    case itemRemoved(productID: String)
    case orderConfirmed
    case orderCancelled(OrderCancelled)
    case paymentAuthorized(PaymentAuthorized)
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
        case .paymentAuthorized: .paymentAuthorized
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
    /// The currency of all prices of the order.
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

/// A quantity of one product.
public struct OrderLine: Hashable, Sendable {
    public let productID: String
    public let name: String
    /// The number of pieces, from 1.
    public let quantity: Int32
    /// The price of one piece, in the order's currency.
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

/// Money that is reserved for an order and not taken yet. Only the payment itself depends on it, so the read models of
/// orders skip the event.
public struct PaymentAuthorized: Hashable, Sendable {
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

public struct PaymentCompleted: Hashable, Sendable {
    public let orderID: String
    public let money: Money
    /// The payment method, for example `card` or `invoice`.
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

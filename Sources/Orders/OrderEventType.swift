public import Events
public import WireJSON

/// The aggregate type that an event belongs to. The raw values are the names in envelopes.
public enum AggregateType: String, AggregateKind {
    case order = "Order"
    case payment = "Payment"
    case shipment = "Shipment"
}

/// The known event types. The raw values are the names in envelopes.
public enum OrderEventType: String, EventType {
    case orderCreated = "OrderCreated"
    case itemAdded = "ItemAdded"
    case itemRemoved = "ItemRemoved"
    case orderConfirmed = "OrderConfirmed"
    case orderCancelled = "OrderCancelled"
    case paymentAuthorized = "PaymentAuthorized"
    case paymentCompleted = "PaymentCompleted"
    case paymentFailed = "PaymentFailed"
    case paymentRefunded = "PaymentRefunded"
    case shipmentCreated = "ShipmentCreated"
    case shipmentDelivered = "ShipmentDelivered"

    public var upcasts: [any UpcastStep.Type] {
        switch self {
        case .orderCreated: OrderEventUpcasters.orderCreated
        case .itemAdded, .itemRemoved, .orderConfirmed, .orderCancelled, .paymentAuthorized, .paymentCompleted,
            .paymentFailed, .paymentRefunded, .shipmentCreated, .shipmentDelivered:
            []
        }
    }

    public var aggregateType: AggregateType {
        switch self {
        case .orderCreated, .itemAdded, .itemRemoved, .orderConfirmed, .orderCancelled: .order
        case .paymentAuthorized, .paymentCompleted, .paymentFailed, .paymentRefunded: .payment
        case .shipmentCreated, .shipmentDelivered: .shipment
        }
    }

    /// Whether the read models of orders show anything of the event. They skip the others.
    public var changesReadModels: Bool { self != .paymentAuthorized }

    public init?(_ text: JSONText, in reader: borrowing JSONReader) {
        if reader.matches(text, "OrderCreated") {
            self = .orderCreated
        } else if reader.matches(text, "OrderConfirmed") {
            self = .orderConfirmed
        } else if reader.matches(text, "PaymentCompleted") {
            self = .paymentCompleted
        } else if reader.matches(text, "ShipmentCreated") {
            self = .shipmentCreated
        } else if reader.matches(text, "ShipmentDelivered") {
            self = .shipmentDelivered
        } else if reader.matches(text, "OrderCancelled") {
            self = .orderCancelled
        } else if reader.matches(text, "PaymentAuthorized") {
            self = .paymentAuthorized
        } else if reader.matches(text, "PaymentFailed") {
            self = .paymentFailed
        } else if reader.matches(text, "PaymentRefunded") {
            self = .paymentRefunded
        } else if reader.matches(text, "ItemAdded") {
            self = .itemAdded
        } else if reader.matches(text, "ItemRemoved") {
            self = .itemRemoved
        } else {
            return nil
        }
    }
}

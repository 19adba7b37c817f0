internal import WireJSON

/// What kind of thing an event belongs to.
public enum AggregateType: String, CaseIterable, Hashable, Sendable {
    case order = "Order"
    case payment = "Payment"
    case shipment = "Shipment"

    /// The Kafka topic that its events go to.
    ///
    /// - Parameter suffix: what the relay that publishes them puts behind the type in lower case.
    public func topic(suffix: String = "-events") -> String { rawValue.lowercased() + suffix }
}

/// The events that are known, by the names that they have on the wire.
public enum OrderEventType: String, CaseIterable, Hashable, Sendable {
    case orderCreated = "OrderCreated"
    case itemAdded = "ItemAdded"
    case itemRemoved = "ItemRemoved"
    case orderConfirmed = "OrderConfirmed"
    case orderCancelled = "OrderCancelled"
    case paymentCompleted = "PaymentCompleted"
    case paymentFailed = "PaymentFailed"
    case paymentRefunded = "PaymentRefunded"
    case shipmentCreated = "ShipmentCreated"
    case shipmentDelivered = "ShipmentDelivered"

    /// The schema version that is written, and that older events are upcast to.
    public var currentVersion: Int {
        switch self {
        case .orderCreated: 2
        case .itemAdded, .itemRemoved, .orderConfirmed, .orderCancelled, .paymentCompleted, .paymentFailed,
            .paymentRefunded, .shipmentCreated, .shipmentDelivered:
            1
        }
    }

    public var aggregateType: AggregateType {
        switch self {
        case .orderCreated, .itemAdded, .itemRemoved, .orderConfirmed, .orderCancelled: .order
        case .paymentCompleted, .paymentFailed, .paymentRefunded: .payment
        case .shipmentCreated, .shipmentDelivered: .shipment
        }
    }

    /// The type that `text` names.
    init?(_ text: JSONText, in reader: borrowing JSONReader) {
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

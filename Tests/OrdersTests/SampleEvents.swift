import Events
import Orders
import StreamCore

/// One event of each type, and the values in them.
enum SampleEvents {
    static let euro: Currency = {
        guard let euro = Currency("EUR") else { preconditionFailure("EUR is a currency") }
        return euro
    }()

    static let address = ShippingAddress(
        name: "Erika \"Ika\" Mustermann", street: "Heidestraße 17", city: "Köln", postalCode: "51147", country: "DE")

    static let bottle = OrderLine(
        productID: "product-0042", name: "Bottle\t0.75 l", quantity: 2,
        unitPrice: DecimalAmount(coefficient: 2490, scale: 2))

    static let payloads: [OrderEventPayload] = [
        .orderCreated(
            OrderCreated(
                customerID: "customer-1", currency: euro,
                items: [
                    bottle,
                    OrderLine(
                        productID: "p2", name: "", quantity: .max, unitPrice: DecimalAmount(coefficient: 1, scale: 8)),
                ],
                shippingAddress: address)),
        .orderCreated(OrderCreated(customerID: "c", currency: euro, items: [], shippingAddress: address)),
        .itemAdded(bottle),
        .itemRemoved(productID: "product-0042"),
        .orderConfirmed,
        .orderCancelled(OrderCancelled(reason: "changed my mind 😀", cancelledBy: "customer")),
        .paymentCompleted(
            PaymentCompleted(
                orderID: "order-1", money: Money(DecimalAmount(coefficient: 4980, scale: 2), euro), method: "card")),
        .paymentFailed(
            PaymentSetback(
                orderID: "order-1", money: Money(DecimalAmount(coefficient: -5, scale: 0), euro), reason: "declined")),
        .paymentRefunded(PaymentSetback(orderID: "order-1", money: Money(.zero, euro), reason: "returned")),
        .shipmentCreated(ShipmentCreated(orderID: "order-1", carrier: "DHL", trackingNumber: "JD0001")),
        .shipmentDelivered(ShipmentDelivered(orderID: "order-1")),
        .paymentAuthorized(
            PaymentAuthorized(
                orderID: "order-1", money: Money(DecimalAmount(coefficient: 4980, scale: 2), euro), method: "card")),
    ]

    static func event(_ payload: OrderEventPayload, sequence: Int64 = 1) -> OrderEvent {
        OrderEvent(
            identity: EventIdentity(
                eventID: EventID(high: 0x0190_c6b2_7d3a_7aaa, low: 0x8bbb_0123_4567_89ab),
                eventType: payload.type.rawValue, aggregateType: payload.type.aggregateType.rawValue,
                aggregateID: "order-1", sequence: sequence, timestamp: Timestamp(microseconds: 1_795_248_000_123_456)),
            correlationID: "corr-1", causationID: nil,
            metadata: EventMetadata(userID: "u", source: "order-service"), payload: payload)
    }
}

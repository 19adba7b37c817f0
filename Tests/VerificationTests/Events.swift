import Events
import Orders
import StreamCore

@testable import Verification

/// Events of the order `o1`.
enum Events {
    static let currency: Currency = {
        guard let euro = Currency("EUR") else { preconditionFailure("EUR is a currency") }
        return euro
    }()

    static func amount(_ text: String) -> DecimalAmount { (try? DecimalAmount(text)) ?? .zero }

    static func event(
        _ aggregateID: String, _ sequence: Int64, at second: Int64, _ payload: OrderEventPayload
    ) -> OrderEvent {
        let id = EventID(
            high: UInt64(truncatingIfNeeded: aggregateID.utf8.reduce(7) { $0 &* 31 &+ Int($1) }),
            low: UInt64(sequence))
        return OrderEvent(
            identity: EventIdentity(
                eventID: id, eventType: payload.type.rawValue, aggregateID: aggregateID, sequence: sequence,
                timestamp: Timestamp(microseconds: second * 1_000_000)),
            payload: payload)
    }

    static func line(_ product: String, _ quantity: Int32, _ price: String) -> OrderLine {
        OrderLine(
            productID: product, name: "Product \(product)", quantity: quantity, unitPrice: amount(price))
    }

    static func created(_ order: String = "o1", sequence: Int64 = 1, at second: Int64 = 10) -> OrderEvent {
        let address = ShippingAddress(name: "N", street: "S", city: "C", postalCode: "1", country: "DE")
        return event(
            order, sequence, at: second,
            .orderCreated(
                OrderCreated(
                    customerID: "c1", currency: currency, items: [line("a", 1, "2.00")], shippingAddress: address)))
    }

    static func added(_ product: String, sequence: Int64, quantity: Int32, price: String) -> OrderEvent {
        event("o1", sequence, at: 10 + sequence, .itemAdded(line(product, quantity, price)))
    }

    static func removed(_ product: String, sequence: Int64) -> OrderEvent {
        event("o1", sequence, at: 10 + sequence, .itemRemoved(productID: product))
    }

    static func failed(_ payment: String, sequence: Int64, at second: Int64, reason: String) -> OrderEvent {
        let setback = PaymentSetback(orderID: "o1", money: Money(amount("5"), currency), reason: reason)
        return event(payment, sequence, at: second, .paymentFailed(setback))
    }

    static let wholeLife = wholeLife(of: "o1")

    /// An order of eight events with a payment and a shipment.
    static func wholeLife(of order: String) -> [OrderEvent] {
        let payment = "pay-" + order
        let shipment = "shp-" + order
        let money = Money(amount("5"), currency)
        return [
            created(order), event(order, 2, at: 12, .itemAdded(line("b", 3, "1.50"))),
            event(order, 3, at: 13, .itemRemoved(productID: "a")), event(order, 4, at: 14, .orderConfirmed),
            event(
                payment, 1, at: 20,
                .paymentFailed(PaymentSetback(orderID: order, money: money, reason: "declined"))),
            event(
                payment, 2, at: 21,
                .paymentCompleted(PaymentCompleted(orderID: order, money: money, method: "card"))),
            event(
                shipment, 1, at: 30,
                .shipmentCreated(ShipmentCreated(orderID: order, carrier: "DHL", trackingNumber: "T"))),
            event(shipment, 2, at: 40, .shipmentDelivered(ShipmentDelivered(orderID: order))),
        ]
    }

    /// An order whose payment is authorized, captured in part and refunded in parts.
    static let authorizedLife: [OrderEvent] = {
        let (order, payment) = ("o1", "pay-o1")
        func money(_ text: String) -> Money { Money(amount(text), currency) }
        func refund(_ text: String) -> OrderEventPayload {
            .paymentRefunded(PaymentSetback(orderID: order, money: money(text), reason: "returned"))
        }
        let authorized = PaymentAuthorized(orderID: order, money: money("5"), method: "card")
        let completed = PaymentCompleted(orderID: order, money: money("4"), method: "card")
        return [
            created(order), event(order, 2, at: 12, .orderConfirmed),
            event(payment, 1, at: 15, .paymentAuthorized(authorized)),
            event(payment, 2, at: 20, .paymentCompleted(completed)),
            event(payment, 3, at: 21, refund("1.50")), event(payment, 4, at: 22, refund("2.50")),
        ]
    }()

    static func facts(_ events: [OrderEvent]) -> OrderFacts {
        var facts = OrderFacts()
        for event in events { facts.merge(event) }
        return facts
    }
}

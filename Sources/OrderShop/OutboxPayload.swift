internal import WireJSON

/// The JSON that a row of the outbox carries for an event: as an order service would write it.
enum OutboxPayload {
    /// The type's name on the wire, and the version of its schema.
    static func type(of fact: ShopFact) -> (name: String, version: Int32) {
        switch fact {
        case .orderCreated: ("OrderCreated", 2)
        case .itemAdded: ("ItemAdded", 1)
        case .itemRemoved: ("ItemRemoved", 1)
        case .orderConfirmed: ("OrderConfirmed", 1)
        case .orderCancelled: ("OrderCancelled", 1)
        case .paymentCompleted: ("PaymentCompleted", 1)
        case .paymentFailed: ("PaymentFailed", 1)
        case .paymentRefunded: ("PaymentRefunded", 1)
        case .shipmentCreated: ("ShipmentCreated", 1)
        case .shipmentDelivered: ("ShipmentDelivered", 1)
        }
    }

    /// Writes the event's `payload`.
    static func write(_ event: ShopEvent, to json: inout JSONWriter) {
        json.beginObject()
        if event.aggregate != .order { json.member("orderId", event.orderID) }
        switch event.fact {
        case .orderCreated(let customerID, let currency, let lines, let address):
            json.member("customerId", customerID)
            json.member("currency", currency.rawValue)
            json.key("items")
            json.beginArray()
            for line in lines { write(line, to: &json) }
            json.endArray()
            json.key("shippingAddress")
            write(address, to: &json)
        case .itemAdded(let line):
            json.key("item")
            write(line, to: &json)
        case .itemRemoved(let productID):
            json.member("productId", productID)
        case .orderConfirmed, .shipmentDelivered:
            break
        case .orderCancelled(let reason, let by):
            json.member("reason", reason)
            json.member("cancelledBy", by)
        case .paymentCompleted(let amount, let method):
            write(amount, to: &json)
            json.member("method", method)
        case .paymentFailed(let amount, let reason), .paymentRefunded(let amount, let reason):
            write(amount, to: &json)
            json.member("reason", reason)
        case .shipmentCreated(let carrier, let trackingNumber):
            json.member("carrier", carrier)
            json.member("trackingNumber", trackingNumber)
        }
        json.endObject()
    }

    /// Writes the event's `metadata`.
    static func writeMetadata(of event: ShopEvent, to json: inout JSONWriter) {
        json.beginObject()
        json.member("userId", event.customerID)
        json.member("source", "order-shop")
        json.endObject()
    }

    /// Writes a shipping address.
    static func write(_ address: ShopAddress, to json: inout JSONWriter) {
        json.beginObject()
        json.member("name", address.name)
        json.member("street", address.street)
        json.member("city", address.city)
        json.member("postalCode", address.postalCode)
        json.member("country", address.country)
        json.endObject()
    }

    private static func write(_ line: ShopLine, to json: inout JSONWriter) {
        json.beginObject()
        json.member("productId", line.productID)
        json.member("name", line.name)
        json.key("quantity")
        json.number(line.quantity)
        json.key("unitPrice")
        json.raw(line.unitPrice.decimal)
        json.endObject()
    }

    private static func write(_ amount: ShopAmount, to json: inout JSONWriter) {
        json.key("amount")
        json.raw(amount.decimal)
        json.member("currency", amount.currency.rawValue)
    }
}

extension JSONWriter {
    fileprivate mutating func member(_ name: StaticString, _ text: String) {
        key(name)
        string(text)
    }
}

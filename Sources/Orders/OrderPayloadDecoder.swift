internal import Events
internal import WireJSON

/// The payload of each event type in its current version.
enum OrderPayloadDecoder {
    static func decode(
        _ type: OrderEventType, _ fields: inout FieldReader
    ) throws(DecodeProblem) -> OrderEventPayload {
        switch type {
        case .orderCreated: .orderCreated(try orderCreated(&fields))
        case .itemAdded: .itemAdded(try itemAdded(&fields))
        case .itemRemoved: .itemRemoved(productID: try itemRemoved(&fields))
        case .orderConfirmed: try orderConfirmed(&fields)
        case .orderCancelled: .orderCancelled(try orderCancelled(&fields))
        case .paymentCompleted: .paymentCompleted(try paymentCompleted(&fields))
        case .paymentFailed: .paymentFailed(try paymentSetback(&fields))
        case .paymentRefunded: .paymentRefunded(try paymentSetback(&fields))
        case .shipmentCreated: .shipmentCreated(try shipmentCreated(&fields))
        case .shipmentDelivered: .shipmentDelivered(try shipmentDelivered(&fields))
        }
    }

    // MARK: orders

    private static func orderCreated(_ fields: inout FieldReader) throws(DecodeProblem) -> OrderCreated {
        var customerID: String?
        var currency: Currency?
        var items: [OrderLine]?
        var address: ShippingAddress?
        let start = try fields.enterObject()
        while let key = try fields.nextKey() {
            if fields.matches(key, "customerId") {
                try fields.once(customerID == nil, key)
                customerID = try fields.identity()
            } else if fields.matches(key, "currency") {
                try fields.once(currency == nil, key)
                currency = try fields.currency()
            } else if fields.matches(key, "items") {
                try fields.once(items == nil, key)
                items = try lines(&fields)
            } else if fields.matches(key, "shippingAddress") {
                try fields.once(address == nil, key)
                address = try shippingAddress(&fields)
            } else {
                try fields.skip()
            }
        }
        return OrderCreated(
            customerID: try required(customerID, "customerId", start),
            currency: try required(currency, "currency", start),
            items: try required(items, "items", start),
            shippingAddress: try required(address, "shippingAddress", start))
    }

    private static func lines(_ fields: inout FieldReader) throws(DecodeProblem) -> [OrderLine] {
        var lines: [OrderLine] = []
        try fields.enterArray()
        while try fields.nextElement() { lines.append(try line(&fields)) }
        return lines
    }

    private static func line(_ fields: inout FieldReader) throws(DecodeProblem) -> OrderLine {
        var productID: String?
        var name: String?
        var quantity: Int32?
        var unitPrice: DecimalAmount?
        let start = try fields.enterObject()
        while let key = try fields.nextKey() {
            if fields.matches(key, "productId") {
                try fields.once(productID == nil, key)
                productID = try fields.identity()
            } else if fields.matches(key, "name") {
                try fields.once(name == nil, key)
                name = try fields.text()
            } else if fields.matches(key, "quantity") {
                try fields.once(quantity == nil, key)
                quantity = try fields.quantity()
            } else if fields.matches(key, "unitPrice") {
                try fields.once(unitPrice == nil, key)
                unitPrice = try fields.amount()
            } else {
                try fields.skip()
            }
        }
        return OrderLine(
            productID: try required(productID, "productId", start),
            name: try required(name, "name", start),
            quantity: try required(quantity, "quantity", start),
            unitPrice: try required(unitPrice, "unitPrice", start))
    }

    private static func shippingAddress(_ fields: inout FieldReader) throws(DecodeProblem) -> ShippingAddress {
        var name: String?
        var street: String?
        var city: String?
        var postalCode: String?
        var country: String?
        let start = try fields.enterObject()
        while let key = try fields.nextKey() {
            if fields.matches(key, "name") {
                try fields.once(name == nil, key)
                name = try fields.text()
            } else if fields.matches(key, "street") {
                try fields.once(street == nil, key)
                street = try fields.text()
            } else if fields.matches(key, "city") {
                try fields.once(city == nil, key)
                city = try fields.text()
            } else if fields.matches(key, "postalCode") {
                try fields.once(postalCode == nil, key)
                postalCode = try fields.text()
            } else if fields.matches(key, "country") {
                try fields.once(country == nil, key)
                country = try fields.text()
            } else {
                try fields.skip()
            }
        }
        return ShippingAddress(
            name: try required(name, "name", start),
            street: try required(street, "street", start),
            city: try required(city, "city", start),
            postalCode: try required(postalCode, "postalCode", start),
            country: try required(country, "country", start))
    }

    private static func itemAdded(_ fields: inout FieldReader) throws(DecodeProblem) -> OrderLine {
        var item: OrderLine?
        let start = try fields.enterObject()
        while let key = try fields.nextKey() {
            if fields.matches(key, "item") {
                try fields.once(item == nil, key)
                item = try line(&fields)
            } else {
                try fields.skip()
            }
        }
        return try required(item, "item", start)
    }

    private static func itemRemoved(_ fields: inout FieldReader) throws(DecodeProblem) -> String {
        var productID: String?
        let start = try fields.enterObject()
        while let key = try fields.nextKey() {
            if fields.matches(key, "productId") {
                try fields.once(productID == nil, key)
                productID = try fields.identity()
            } else {
                try fields.skip()
            }
        }
        return try required(productID, "productId", start)
    }

    /// Has no fields of its own; that it is an object is checked all the same.
    private static func orderConfirmed(_ fields: inout FieldReader) throws(DecodeProblem) -> OrderEventPayload {
        _ = try fields.enterObject()
        while try fields.nextKey() != nil { try fields.skip() }
        return .orderConfirmed
    }

    private static func orderCancelled(_ fields: inout FieldReader) throws(DecodeProblem) -> OrderCancelled {
        var reason: String?
        var cancelledBy: String?
        let start = try fields.enterObject()
        while let key = try fields.nextKey() {
            if fields.matches(key, "reason") {
                try fields.once(reason == nil, key)
                reason = try fields.text()
            } else if fields.matches(key, "cancelledBy") {
                try fields.once(cancelledBy == nil, key)
                cancelledBy = try fields.text()
            } else {
                try fields.skip()
            }
        }
        return OrderCancelled(
            reason: try required(reason, "reason", start),
            cancelledBy: try required(cancelledBy, "cancelledBy", start))
    }

    // MARK: payments

    private static func paymentCompleted(_ fields: inout FieldReader) throws(DecodeProblem) -> PaymentCompleted {
        let payment = try paymentFields(&fields, detail: "method")
        return PaymentCompleted(orderID: payment.orderID, money: payment.money, method: payment.detail)
    }

    private static func paymentSetback(_ fields: inout FieldReader) throws(DecodeProblem) -> PaymentSetback {
        let payment = try paymentFields(&fields, detail: "reason")
        return PaymentSetback(orderID: payment.orderID, money: payment.money, reason: payment.detail)
    }

    /// What all payment events have, and the one text by which they differ.
    private static func paymentFields(
        _ fields: inout FieldReader, detail name: StaticString
    ) throws(DecodeProblem) -> (orderID: String, money: Money, detail: String) {
        var orderID: String?
        var amount: DecimalAmount?
        var currency: Currency?
        var detail: String?
        let start = try fields.enterObject()
        while let key = try fields.nextKey() {
            if fields.matches(key, "orderId") {
                try fields.once(orderID == nil, key)
                orderID = try fields.identity()
            } else if fields.matches(key, "amount") {
                try fields.once(amount == nil, key)
                amount = try fields.amount()
            } else if fields.matches(key, "currency") {
                try fields.once(currency == nil, key)
                currency = try fields.currency()
            } else if fields.matches(key, name) {
                try fields.once(detail == nil, key)
                detail = try fields.text()
            } else {
                try fields.skip()
            }
        }
        let money = Money(try required(amount, "amount", start), try required(currency, "currency", start))
        return (try required(orderID, "orderId", start), money, try required(detail, name, start))
    }

    // MARK: shipments

    private static func shipmentCreated(_ fields: inout FieldReader) throws(DecodeProblem) -> ShipmentCreated {
        var orderID: String?
        var carrier: String?
        var trackingNumber: String?
        let start = try fields.enterObject()
        while let key = try fields.nextKey() {
            if fields.matches(key, "orderId") {
                try fields.once(orderID == nil, key)
                orderID = try fields.identity()
            } else if fields.matches(key, "carrier") {
                try fields.once(carrier == nil, key)
                carrier = try fields.text()
            } else if fields.matches(key, "trackingNumber") {
                try fields.once(trackingNumber == nil, key)
                trackingNumber = try fields.text()
            } else {
                try fields.skip()
            }
        }
        return ShipmentCreated(
            orderID: try required(orderID, "orderId", start),
            carrier: try required(carrier, "carrier", start),
            trackingNumber: try required(trackingNumber, "trackingNumber", start))
    }

    private static func shipmentDelivered(_ fields: inout FieldReader) throws(DecodeProblem) -> ShipmentDelivered {
        var orderID: String?
        let start = try fields.enterObject()
        while let key = try fields.nextKey() {
            if fields.matches(key, "orderId") {
                try fields.once(orderID == nil, key)
                orderID = try fields.identity()
            } else {
                try fields.skip()
            }
        }
        return ShipmentDelivered(orderID: try required(orderID, "orderId", start))
    }

    @inline(__always)
    private static func required<T>(_ value: T?, _ name: StaticString, _ start: Int) throws(DecodeProblem) -> T {
        guard let value else { throw DecodeProblem(missing: name.description, in: start) }
        return value
    }
}

internal import Events
internal import WireJSON

/// Decodes the payload of each event type in its current version.
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
        case .paymentAuthorized: .paymentAuthorized(try paymentAuthorized(&fields))
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
            customerID: try FieldReader.required(customerID, "customerId", in: start),
            currency: try FieldReader.required(currency, "currency", in: start),
            items: try FieldReader.required(items, "items", in: start),
            shippingAddress: try FieldReader.required(address, "shippingAddress", in: start))
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
            productID: try FieldReader.required(productID, "productId", in: start),
            name: try FieldReader.required(name, "name", in: start),
            quantity: try FieldReader.required(quantity, "quantity", in: start),
            unitPrice: try FieldReader.required(unitPrice, "unitPrice", in: start))
    }

    static func shippingAddress(_ fields: inout FieldReader) throws(DecodeProblem) -> ShippingAddress {
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
            name: try FieldReader.required(name, "name", in: start),
            street: try FieldReader.required(street, "street", in: start),
            city: try FieldReader.required(city, "city", in: start),
            postalCode: try FieldReader.required(postalCode, "postalCode", in: start),
            country: try FieldReader.required(country, "country", in: start))
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
        return try FieldReader.required(item, "item", in: start)
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
        return try FieldReader.required(productID, "productId", in: start)
    }

    /// The payload has no known fields, but it must be an object.
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
            reason: try FieldReader.required(reason, "reason", in: start),
            cancelledBy: try FieldReader.required(cancelledBy, "cancelledBy", in: start))
    }

    // MARK: payments

    private static func paymentAuthorized(_ fields: inout FieldReader) throws(DecodeProblem) -> PaymentAuthorized {
        let payment = try paymentFields(&fields, detail: "method")
        return PaymentAuthorized(orderID: payment.orderID, money: payment.money, method: payment.detail)
    }

    private static func paymentCompleted(_ fields: inout FieldReader) throws(DecodeProblem) -> PaymentCompleted {
        let payment = try paymentFields(&fields, detail: "method")
        return PaymentCompleted(orderID: payment.orderID, money: payment.money, method: payment.detail)
    }

    private static func paymentSetback(_ fields: inout FieldReader) throws(DecodeProblem) -> PaymentSetback {
        let payment = try paymentFields(&fields, detail: "reason")
        return PaymentSetback(orderID: payment.orderID, money: payment.money, reason: payment.detail)
    }

    /// Reads the fields of all payment events, and the one text field by which they differ.
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
        let money = Money(
            try FieldReader.required(amount, "amount", in: start),
            try FieldReader.required(currency, "currency", in: start))
        return (
            try FieldReader.required(orderID, "orderId", in: start), money,
            try FieldReader.required(detail, name, in: start)
        )
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
            orderID: try FieldReader.required(orderID, "orderId", in: start),
            carrier: try FieldReader.required(carrier, "carrier", in: start),
            trackingNumber: try FieldReader.required(trackingNumber, "trackingNumber", in: start))
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
        return ShipmentDelivered(orderID: try FieldReader.required(orderID, "orderId", in: start))
    }
}

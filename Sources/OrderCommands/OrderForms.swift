internal import Commands
internal import Events
internal import Orders
internal import WireJSON

/// Reads the bodies of requests about orders.
enum OrderForms {
    /// Reads the body of `POST /v1/orders`.
    static func order(_ fields: inout FieldReader) throws -> OrderCreated {
        var (customerID, currency, items): (String?, Currency?, [OrderLine]?) = (nil, nil, nil)
        var address: ShippingAddress?
        let start = try CommandForm.object(&fields) { key, fields in
            if fields.matches(key, "customerId") {
                customerID = try fields.identity()
            } else if fields.matches(key, "currency") {
                currency = try CommandForm.currency(&fields, else: OrderRule.unknownCurrency)
            } else if fields.matches(key, "items") {
                items = try self.items(&fields)
            } else if fields.matches(key, "shippingAddress") {
                address = try self.address(&fields)
            } else {
                return false
            }
            return true
        }
        return OrderCreated(
            customerID: try FieldReader.required(customerID, "customerId", in: start),
            currency: try FieldReader.required(currency, "currency", in: start),
            items: try FieldReader.required(items, "items", in: start),
            shippingAddress: try FieldReader.required(address, "shippingAddress", in: start))
    }

    private static func items(_ fields: inout FieldReader) throws -> [OrderLine] {
        var items: [OrderLine] = []
        try fields.enterArray()
        while try fields.nextElement() {
            // Stops early, because the rule refuses so many items.
            if items.count > OrderPolicy.maximumItems {
                throw CommandForm.RuleBroken(Rejection(OrderRule.tooManyItems))
            }
            items.append(try line(&fields).line)
        }
        return items
    }

    /// Reads the body of `POST /v1/orders/{id}/items`, or an item of a new order. The currency is nil if the item does
    /// not name one.
    static func line(_ fields: inout FieldReader) throws -> (line: OrderLine, currency: Currency?) {
        var (productID, name): (String?, String?) = (nil, nil)
        var (quantity, price, currency): (Int32?, DecimalAmount?, Currency?) = (nil, nil, nil)
        let start = try CommandForm.object(&fields) { key, fields in
            if fields.matches(key, "productId") {
                productID = try fields.identity()
            } else if fields.matches(key, "name") {
                name = try CommandForm.text(&fields)
            } else if fields.matches(key, "quantity") {
                quantity = try CommandForm.quantity(&fields, else: OrderRule.invalidQuantity)
            } else if fields.matches(key, "unitPrice") {
                price = try fields.amount()
            } else if fields.matches(key, "currency") {
                currency = try CommandForm.currency(&fields, else: OrderRule.unknownCurrency)
            } else {
                return false
            }
            return true
        }
        let line = OrderLine(
            productID: try FieldReader.required(productID, "productId", in: start),
            name: try FieldReader.required(name, "name", in: start),
            quantity: try FieldReader.required(quantity, "quantity", in: start),
            unitPrice: try FieldReader.required(price, "unitPrice", in: start))
        return (line, currency)
    }

    private static func address(_ fields: inout FieldReader) throws -> ShippingAddress {
        var (name, street, city): (String?, String?, String?) = (nil, nil, nil)
        var (postalCode, country): (String?, String?) = (nil, nil)
        let start = try CommandForm.object(&fields) { key, fields in
            if fields.matches(key, "name") {
                name = try CommandForm.text(&fields)
            } else if fields.matches(key, "street") {
                street = try CommandForm.text(&fields)
            } else if fields.matches(key, "city") {
                city = try CommandForm.text(&fields)
            } else if fields.matches(key, "postalCode") {
                postalCode = try CommandForm.text(&fields)
            } else if fields.matches(key, "country") {
                country = try CommandForm.text(&fields)
            } else {
                return false
            }
            return true
        }
        return ShippingAddress(
            name: try FieldReader.required(name, "name", in: start),
            street: try FieldReader.required(street, "street", in: start),
            city: try FieldReader.required(city, "city", in: start),
            postalCode: try FieldReader.required(postalCode, "postalCode", in: start),
            country: try FieldReader.required(country, "country", in: start))
    }

    /// Reads the body of `POST /v1/orders/{id}/cancel`.
    static func cancellation(_ fields: inout FieldReader) throws -> (reason: String, by: String) {
        var (reason, by): (String?, String?) = (nil, nil)
        let start = try CommandForm.object(&fields) { key, fields in
            if fields.matches(key, "reason") {
                reason = try CommandForm.text(&fields)
            } else if fields.matches(key, "cancelledBy") {
                by = try CommandForm.text(&fields)
            } else {
                return false
            }
            return true
        }
        return (
            try FieldReader.required(reason, "reason", in: start),
            try FieldReader.required(by, "cancelledBy", in: start)
        )
    }
}

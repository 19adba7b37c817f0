public import Events
public import WireJSON

extension OrderEventPayload: EventPayload {
    public static func decode(
        _ type: OrderEventType, _ fields: inout FieldReader
    ) throws(DecodeProblem) -> OrderEventPayload {
        try OrderPayloadDecoder.decode(type, &fields)
    }

    public func write(to writer: inout JSONWriter) {
        writer.beginObject()
        switch self {
        case .orderCreated(let order): order.writeMembers(to: &writer)
        case .itemAdded(let line):
            writer.key("item")
            line.write(to: &writer)
        case .itemRemoved(let productID): writer.member("productId", productID)
        case .orderConfirmed: break
        case .orderCancelled(let cancellation):
            writer.member("reason", cancellation.reason)
            writer.member("cancelledBy", cancellation.cancelledBy)
        case .paymentAuthorized(let payment):
            writer.member("orderId", payment.orderID)
            writer.members(of: payment.money)
            writer.member("method", payment.method)
        case .paymentCompleted(let payment):
            writer.member("orderId", payment.orderID)
            writer.members(of: payment.money)
            writer.member("method", payment.method)
        case .paymentFailed(let payment), .paymentRefunded(let payment):
            writer.member("orderId", payment.orderID)
            writer.members(of: payment.money)
            writer.member("reason", payment.reason)
        case .shipmentCreated(let shipment):
            writer.member("orderId", shipment.orderID)
            writer.member("carrier", shipment.carrier)
            writer.member("trackingNumber", shipment.trackingNumber)
        case .shipmentDelivered(let delivery): writer.member("orderId", delivery.orderID)
        }
        writer.endObject()
    }
}

extension OrderCreated {
    fileprivate func writeMembers(to writer: inout JSONWriter) {
        writer.member("customerId", customerID)
        writer.member("currency", currency.code)
        writer.key("items")
        writer.beginArray()
        for line in items { line.write(to: &writer) }
        writer.endArray()
        writer.key("shippingAddress")
        shippingAddress.write(to: &writer)
    }
}

extension OrderLine {
    /// Writes the line as the JSON object that events contain.
    public func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("productId", productID)
        writer.member("name", name)
        writer.member("quantity", quantity)
        writer.member("unitPrice", unitPrice)
        writer.endObject()
    }
}

extension ShippingAddress {
    /// Reads the next object as an address. Unknown fields are skipped.
    ///
    /// - Throws: ``DecodeProblem`` if a field is missing or invalid.
    public init(reading fields: inout FieldReader) throws(DecodeProblem) {
        self = try OrderPayloadDecoder.shippingAddress(&fields)
    }

    /// Writes the address as the JSON object that events contain.
    public func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("name", name)
        writer.member("street", street)
        writer.member("city", city)
        writer.member("postalCode", postalCode)
        writer.member("country", country)
        writer.endObject()
    }
}

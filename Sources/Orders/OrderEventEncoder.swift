public import Events
internal import StreamCore
public import WireJSON

/// From events to the JSON that ``OrderEventDecoder`` reads back as the same events.
public enum OrderEventEncoder {
    /// The payload in its type's current version, as the bytes of the outbox's `payload` column.
    public static func payload(_ payload: OrderEventPayload) -> [UInt8] {
        var writer = JSONWriter()
        write(payload, to: &writer)
        return writer.finish()
    }

    /// The whole envelope, as the bytes of a record's value.
    public static func envelope(_ event: OrderEvent) -> [UInt8] {
        var writer = JSONWriter()
        write(event, to: &writer)
        return writer.finish()
    }

    /// Writes the whole envelope.
    public static func write(_ event: OrderEvent, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("eventId")
        writer.string(event.identity.eventID)
        writer.key("eventType")
        writer.string(event.type.rawValue)
        writer.key("aggregateId")
        writer.string(event.identity.aggregateID)
        writer.key("aggregateType")
        writer.string(event.aggregateType.rawValue)
        writer.key("sequence")
        writer.number(event.identity.sequence)
        writer.key("timestamp")
        writer.string(event.identity.timestamp)
        writer.key("version")
        writer.number(event.type.currentVersion)
        write("correlationId", event.correlationID, to: &writer)
        write("causationId", event.causationID, to: &writer)
        writer.key("metadata")
        write(event.metadata, to: &writer)
        writer.key("payload")
        write(event.payload, to: &writer)
        writer.endObject()
    }

    /// Writes the metadata, without the fields that are nil.
    public static func write(_ metadata: EventMetadata, to writer: inout JSONWriter) {
        writer.beginObject()
        write("userId", metadata.userID, to: &writer)
        write("tenantId", metadata.tenantID, to: &writer)
        write("source", metadata.source, to: &writer)
        write("traceId", metadata.traceID, to: &writer)
        writer.endObject()
    }

    /// Writes the payload.
    public static func write(_ payload: OrderEventPayload, to writer: inout JSONWriter) {
        writer.beginObject()
        switch payload {
        case .orderCreated(let order): writeMembers(of: order, to: &writer)
        case .itemAdded(let line):
            writer.key("item")
            write(line, to: &writer)
        case .itemRemoved(let productID): write("productId", productID, to: &writer)
        case .orderConfirmed: break
        case .orderCancelled(let cancellation):
            write("reason", cancellation.reason, to: &writer)
            write("cancelledBy", cancellation.cancelledBy, to: &writer)
        case .paymentCompleted(let payment):
            write("orderId", payment.orderID, to: &writer)
            writeMembers(of: payment.money, to: &writer)
            write("method", payment.method, to: &writer)
        case .paymentFailed(let payment), .paymentRefunded(let payment):
            write("orderId", payment.orderID, to: &writer)
            writeMembers(of: payment.money, to: &writer)
            write("reason", payment.reason, to: &writer)
        case .shipmentCreated(let shipment):
            write("orderId", shipment.orderID, to: &writer)
            write("carrier", shipment.carrier, to: &writer)
            write("trackingNumber", shipment.trackingNumber, to: &writer)
        case .shipmentDelivered(let delivery): write("orderId", delivery.orderID, to: &writer)
        }
        writer.endObject()
    }

    /// Writes a line as the object that it is in events.
    public static func write(_ line: OrderLine, to writer: inout JSONWriter) {
        writer.beginObject()
        write("productId", line.productID, to: &writer)
        write("name", line.name, to: &writer)
        writer.key("quantity")
        writer.number(line.quantity)
        writer.key("unitPrice")
        write(line.unitPrice, to: &writer)
        writer.endObject()
    }

    /// Writes an address as the object that it is in events.
    public static func write(_ address: ShippingAddress, to writer: inout JSONWriter) {
        writer.beginObject()
        write("name", address.name, to: &writer)
        write("street", address.street, to: &writer)
        write("city", address.city, to: &writer)
        write("postalCode", address.postalCode, to: &writer)
        write("country", address.country, to: &writer)
        writer.endObject()
    }

    /// Writes an amount as a string: many readers of JSON make a binary fraction of a number.
    public static func write(_ amount: DecimalAmount, to writer: inout JSONWriter) {
        writer.string(amount.description)
    }

    private static func writeMembers(of order: OrderCreated, to writer: inout JSONWriter) {
        write("customerId", order.customerID, to: &writer)
        write("currency", order.currency.code, to: &writer)
        writer.key("items")
        writer.beginArray()
        for line in order.items { write(line, to: &writer) }
        writer.endArray()
        writer.key("shippingAddress")
        write(order.shippingAddress, to: &writer)
    }

    private static func writeMembers(of money: Money, to writer: inout JSONWriter) {
        writer.key("amount")
        write(money.amount, to: &writer)
        write("currency", money.currency.code, to: &writer)
    }

    private static func write(_ key: StaticString, _ text: String?, to writer: inout JSONWriter) {
        guard let text else { return }
        writer.key(key)
        writer.string(text)
    }
}

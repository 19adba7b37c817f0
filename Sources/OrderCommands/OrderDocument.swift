public import Commands
internal import Events
public import Orders
internal import StreamCore
internal import WireJSON

/// The representation of an order of the write model for clients. It has the members of query-service's answer, except
/// those that depend on other aggregates.
public enum OrderDocument {
    /// The order's JSON object.
    public static func json(_ orderID: String, _ order: Loaded<OrderState>) -> [UInt8] {
        let state = order.state
        var writer = JSONWriter(capacity: 1_024)
        writer.beginObject()
        writer.member("orderId", orderID)
        writer.member("customerId", state.customerID)
        writer.member("status", state.status.rawValue)
        writer.member("itemCount", state.lines.count)
        writer.member("totalAmount", state.total ?? .zero)
        writer.member("currency", state.currency.code)
        writer.key("items")
        writer.beginArray()
        for line in state.lines { line.write(to: &writer) }
        writer.endArray()
        writer.key("shippingAddress")
        state.shippingAddress.write(to: &writer)
        writer.key("cancellation")
        if let cancellation = state.cancellation {
            writer.beginObject()
            writer.member("reason", cancellation.reason)
            writer.member("by", cancellation.by)
            writer.key("at")
            writer.string(cancellation.at)
            writer.endObject()
        } else {
            writer.null()
        }
        writer.key("createdAt")
        writer.string(state.createdAt)
        writer.key("confirmedAt")
        if let confirmedAt = state.confirmedAt { writer.string(confirmedAt) } else { writer.null() }
        writer.key("updatedAt")
        writer.string(state.updatedAt)
        writer.member("version", order.version)
        writer.key("lastEventId")
        writer.string(state.lastEventID)
        writer.endObject()
        return writer.finish()
    }
}

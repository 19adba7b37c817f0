internal import Commands
internal import Events
internal import Orders
internal import StreamCore
internal import WireJSON

/// The representation of a shipment for clients.
enum ShipmentDocument {
    static func json(_ shipmentID: String, _ shipment: Loaded<ShipmentState>) -> [UInt8] {
        let state = shipment.state
        var writer = JSONWriter(capacity: 512)
        writer.beginObject()
        writer.member("shipmentId", shipmentID)
        writer.member("orderId", state.parcel.orderID)
        writer.member("status", state.status)
        writer.member("carrier", state.parcel.carrier)
        writer.member("trackingNumber", state.parcel.trackingNumber)
        writer.key("createdAt")
        writer.string(state.created.at)
        writer.key("deliveredAt")
        if let delivered = state.delivered { writer.string(delivered.at) } else { writer.null() }
        writer.member("version", shipment.version)
        writer.key("lastEventId")
        writer.string(state.last.eventID)
        writer.endObject()
        return writer.finish()
    }
}

extension ShipmentState {
    /// The status in the table and for clients.
    var status: String { delivered == nil ? "created" : "delivered" }
}

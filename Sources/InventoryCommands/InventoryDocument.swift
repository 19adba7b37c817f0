internal import Commands
internal import Events
internal import Inventory
internal import StreamCore
internal import WireJSON

/// The representation of a product's stock for clients.
enum InventoryDocument {
    static func json(_ productID: String, _ stock: Loaded<InventoryState>) -> [UInt8] {
        var writer = JSONWriter(capacity: 256)
        writer.beginObject()
        writer.member("productId", productID)
        writer.member("onHand", stock.state.onHand)
        writer.member("reserved", stock.state.reserved)
        writer.member("available", stock.state.available)
        writer.key("updatedAt")
        writer.string(stock.state.updatedAt)
        writer.member("version", stock.version)
        writer.key("lastEventId")
        writer.string(stock.state.lastEventID)
        writer.endObject()
        return writer.finish()
    }
}

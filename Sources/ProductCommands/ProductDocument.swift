internal import Commands
internal import Events
internal import Products
internal import StreamCore
internal import WireJSON

/// The representation of a product for clients.
enum ProductDocument {
    static func json(_ productID: String, _ product: Loaded<ProductState>) -> [UInt8] {
        let state = product.state
        var writer = JSONWriter(capacity: 512)
        writer.beginObject()
        writer.member("productId", productID)
        writer.member("status", state.status)
        state.details.writeMembers(to: &writer)
        state.price.writeAsPrice(to: &writer)
        writer.key("updatedAt")
        writer.string(state.last.at)
        writer.member("version", product.version)
        writer.key("lastEventId")
        writer.string(state.last.eventID)
        writer.endObject()
        return writer.finish()
    }
}

extension ProductState {
    /// The status in the table and for clients.
    var status: String { isRetired ? "retired" : "listed" }
}

internal import Events
internal import Orders
internal import StreamCore
internal import WireJSON

/// The JSON forms of the columns `items` and `removed_items`.
extension OrderItems {
    /// `[{"productId":…,"name":…,"quantity":…,"unitPrice":"…","sequence":…}, …]`: the lines as in events, each with the
    /// sequence of the event that set it. If the event has no sequence, `"at"` (µs since 1970) and `"eventId"` follow.
    func linesJSON() -> [UInt8] {
        Self.write(lines)
    }

    /// `[{"productId":…,"sequence":…}, …]`; nil if nothing was removed.
    func removalsJSON() -> [UInt8]? {
        let removals = removals
        return removals.isEmpty ? nil : Self.write(removals)
    }

    private static func write(_ entries: [Entry]) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginArray()
        for entry in entries {
            writer.beginObject()
            writer.key("productId")
            writer.string(entry.productID)
            if let line = entry.line {
                writer.key("name")
                writer.string(line.name)
                writer.key("quantity")
                writer.number(line.quantity)
                writer.key("unitPrice")
                line.unitPrice.write(to: &writer)
            }
            writer.key("sequence")
            writer.number(entry.sequence)
            if let moment = entry.moment {
                writer.key("at")
                writer.number(moment.at.microseconds)
                writer.key("eventId")
                writer.string(moment.eventID)
            }
            writer.endObject()
        }
        writer.endArray()
        return writer.finish()
    }
}

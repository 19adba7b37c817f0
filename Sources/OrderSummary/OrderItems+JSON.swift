internal import Events
internal import Orders
internal import StreamCore
internal import WireJSON

/// How lines are kept in the columns `items` and `removed_items`.
extension OrderItems {
    /// `[{"productId":…,"name":…,"quantity":…,"unitPrice":"…","sequence":…}, …]`: the lines as events have them, and
    /// the sequence of the event that set each. Where that has none, `"at"` (µs since 1970) and `"eventId"` follow.
    func linesJSON() -> [UInt8] {
        Self.write(lines)
    }

    /// `[{"productId":…,"sequence":…}, …]`; nil when nothing was removed.
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

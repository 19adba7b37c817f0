internal import Events
internal import OrderSummary
internal import Orders
internal import StreamCore
internal import WireJSON

extension OrderItems {
    /// Reads both columns.
    init(lines: Span<UInt8>, removals: Span<UInt8>) throws(StoredItemsError) {
        var entries: [Entry] = []
        try Self.read(lines, into: &entries)
        if !removals.isEmpty { try Self.read(removals, into: &entries) }
        self.init(entries)
    }

    private static func read(_ json: Span<UInt8>, into entries: inout [Entry]) throws(StoredItemsError) {
        do {
            var reader = try JSONReader(json)
            try reader.enterArray()
            while try reader.nextElement() {
                guard let entry = try readEntry(&reader) else { throw StoredItemsError() }
                entries.append(entry)
            }
            try reader.finish()
        } catch {
            throw StoredItemsError()
        }
    }

    /// - Returns: nil if the object is neither an item nor a removal.
    private static func readEntry(_ reader: inout JSONReader) throws(JSONError) -> Entry? {
        var productID: String?
        var name: String?
        var quantity: Int32?
        var unitPrice: DecimalAmount?
        var sequence: Int64?
        var at: Timestamp?
        var eventID: EventID?
        try reader.enterObject()
        while let key = try reader.nextKey() {
            if reader.matches(key, "productId") {
                productID = try reader.readString()
            } else if reader.matches(key, "name") {
                name = try reader.readString()
            } else if reader.matches(key, "quantity") {
                quantity = Int32(exactly: try reader.readInt64())
            } else if reader.matches(key, "unitPrice") {
                unitPrice = try? DecimalAmount(utf8: reader.span(of: reader.readText().range))
            } else if reader.matches(key, "sequence") {
                sequence = try reader.readInt64()
            } else if reader.matches(key, "at") {
                at = Timestamp(microseconds: try reader.readInt64())
            } else if reader.matches(key, "eventId") {
                eventID = EventID(utf8: reader.span(of: try reader.readText().range))
            } else {
                try reader.skipValue()
            }
        }
        guard let productID, let sequence else { return nil }
        var moment: EventMoment?
        if let at, let eventID { moment = EventMoment(at: at, eventID: eventID) }
        if name == nil, quantity == nil, unitPrice == nil {
            return Entry(productID: productID, sequence: sequence, moment: moment, line: nil)
        }
        guard let name, let quantity, let unitPrice else { return nil }
        let line = OrderLine(productID: productID, name: name, quantity: quantity, unitPrice: unitPrice)
        return Entry(productID: productID, sequence: sequence, moment: moment, line: line)
    }
}

/// The columns `items` or `removed_items` of a row have a form that this program does not write.
struct StoredItemsError: Error, CustomStringConvertible {
    var description: String { "items of the stored row are not in their form" }
}

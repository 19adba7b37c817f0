public import StreamCore
internal import WireJSON

/// The fields of an event that a line about its record shows, as far as the record contains an event.
public struct EventGlance {
    private(set) var type: [UInt8]?
    public private(set) var sequence: Int64?
    /// The time in the event.
    public private(set) var occurredAt: Timestamp?
    /// The range of the payload in the value; nil if the value is not an envelope.
    private(set) var payload: Range<Int>?

    /// The event's type as printable text; nil if there is none.
    public var typeText: String? { type.map { PrintableBytes.text($0) } }

    /// Reads the fields. A header with the type (``EventTypeHeader``) takes precedence over the type in the value.
    public init(_ record: borrowing some TailRecord) {
        let named = Self.typeInHeaders(of: record)
        if let value = record.value, value.count > 0 {
            // The fields before a syntax error are shown.
            do throws(JSONError) { try read(value) } catch { payload = nil }
        }
        if let named { type = named }
    }

    /// nil if no header contains the type.
    static func typeInHeaders(of record: borrowing some TailRecord) -> [UInt8]? {
        var found: (rank: Int, type: [UInt8])?
        record.forEachHeader { name, value in
            guard let value, let own = Self.rank(ofHeader: name), own <= found?.rank ?? .max else { return }
            found = (own, [UInt8](copying: value))
        }
        return found?.type
    }

    /// The rank of a header among those with the type; nil for other headers.
    static func rank(ofHeader name: Span<UInt8>) -> Int? {
        for rank in EventTypeHeader.names.indices where name.isEqual(to: EventTypeHeader.names[rank]) { return rank }
        return nil
    }

    private mutating func read(_ value: Span<UInt8>) throws(JSONError) {
        var reader = try JSONReader(value)
        guard try reader.peek() == .object else { return }
        try reader.enterObject()
        while let key = try reader.nextKey() {
            if reader.matches(key, "eventType"), try reader.peek() == .string {
                type = Array(try reader.readString().utf8)
            } else if reader.matches(key, "sequence"), try reader.peek() == .number {
                let digits = try reader.readNumber()
                var number = reader.reader(at: digits.lowerBound)
                sequence = try? number.readInt64()
            } else if reader.matches(key, "timestamp"), try reader.peek() == .string {
                occurredAt = Timestamp(try reader.readString())
            } else if reader.matches(key, "payload") {
                payload = try reader.skipValue()
            } else {
                try reader.skipValue()
            }
        }
        try reader.finish()
    }
}

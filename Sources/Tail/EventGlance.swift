public import StreamCore
internal import WireJSON

/// What a line about a record shows of the event in it, as far as it has one.
public struct EventGlance {
    private(set) var type: [UInt8]?
    public private(set) var sequence: Int64?
    /// When it happened, as the event says.
    public private(set) var occurredAt: Timestamp?
    /// Where the payload stands in the value; nil when the value is no envelope.
    private(set) var payload: Range<Int>?

    /// The event's type as text for a line; nil when there is none.
    public var typeText: String? { type.map { PrintableBytes.text($0) } }

    /// The type is what the header `event-type` says, else what stands in the value.
    public init(_ record: borrowing some TailRecord) {
        var named: [UInt8]?
        record.forEachHeader { name, value in
            if name.isEqual(to: "event-type"), let value { named = [UInt8](copying: value) }
        }
        if let value = record.value, value.count > 0 {
            // What stands before a mistake is shown.
            do throws(JSONError) { try read(value) } catch { payload = nil }
        }
        if let named { type = named }
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

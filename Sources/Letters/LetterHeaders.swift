public import Kafka

/// The headers of a dead letter by name. If a name occurs several times, the last value counts.
public struct LetterHeaders {
    private let values: [String: [UInt8]]

    public init(_ headers: [RecordHeader]) {
        var values: [String: [UInt8]] = [:]
        for header in headers { values[header.name] = header.value }
        self.values = values
    }

    /// Whether there is a header of this name with a value.
    public func contains(_ name: String) -> Bool { values[name] != nil }

    /// Whether a header with this prefix has a value.
    public func containsAny(withPrefix prefix: String) -> Bool { values.keys.contains { $0.hasPrefix(prefix) } }

    /// The value as readable text; nil if there is none.
    public func text(_ name: String, limit: Int) -> String? {
        guard let bytes = values[name] else { return nil }
        let text = LetterText.clean(bytes, limit: limit)
        return text.isEmpty ? nil : text
    }

    /// The value as a topic's name; nil if Kafka does not allow the name.
    public func topic(_ name: String) -> String? {
        guard let text = text(name, limit: 300), LetterText.isTopicName(text) else { return nil }
        return text
    }

    /// The value as a non-negative number in decimal digits; nil for other values.
    public func number(_ name: String) -> Int64? {
        values[name].flatMap(Self.decimal)
    }

    /// The value as a non-negative number of 32 bits in decimal digits.
    public func smallNumber(_ name: String) -> Int32? { number(name).flatMap { Int32(exactly: $0) } }

    /// The value as a non-negative number: `width` bytes, big-endian, or decimal digits, which other programs write.
    ///
    /// Digits have priority. Bytes that are all ASCII digits would be a partition above 800 million or an offset above
    /// 3·10¹⁸.
    public func binaryNumber(_ name: String, width: Int) -> Int64? {
        guard let bytes = values[name] else { return nil }
        if let number = Self.decimal(bytes) { return number }
        guard bytes.count == width, bytes[0] < 0x80 else { return nil }
        return bytes.reduce(0) { $0 << 8 | Int64($1) }
    }

    private static func decimal(_ bytes: [UInt8]) -> Int64? {
        guard (1...19).contains(bytes.count) else { return nil }
        var value: Int64 = 0
        for byte in bytes {
            let digit = byte &- UInt8(ascii: "0")
            guard digit < 10 else { return nil }
            let (shifted, overflows) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflowsToo) = shifted.addingReportingOverflow(Int64(digit))
            if overflows || overflowsToo { return nil }
            value = sum
        }
        return value
    }
}

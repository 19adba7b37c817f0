public import Kafka

/// A dead letter's headers by their names; of several with one name the last counts.
public struct LetterHeaders {
    private let values: [String: [UInt8]]

    public init(_ headers: [RecordHeader]) {
        var values: [String: [UInt8]] = [:]
        for header in headers { values[header.name] = header.value }
        self.values = values
    }

    /// Whether there is a header of this name with a value.
    public func contains(_ name: String) -> Bool { values[name] != nil }

    /// Whether the name of any header with a value begins so.
    public func containsAny(withPrefix prefix: String) -> Bool { values.keys.contains { $0.hasPrefix(prefix) } }

    /// Readable text; nil when there is none.
    public func text(_ name: String, limit: Int) -> String? {
        guard let bytes = values[name] else { return nil }
        let text = LetterText.clean(bytes, limit: limit)
        return text.isEmpty ? nil : text
    }

    /// A topic's name; nil when no topic can be called so.
    public func topic(_ name: String) -> String? {
        guard let text = text(name, limit: 300), LetterText.isTopicName(text) else { return nil }
        return text
    }

    /// A number that is not negative, in decimal digits; nil for anything else.
    public func number(_ name: String) -> Int64? {
        values[name].flatMap(Self.decimal)
    }

    /// A number that is not negative and fits into 32 bits, in decimal digits.
    public func smallNumber(_ name: String) -> Int32? { number(name).flatMap { Int32(exactly: $0) } }

    /// A number that is not negative: `width` bytes, big-endian, or decimal digits, which other writers of these
    /// headers use.
    ///
    /// Digits win: bytes that are all ASCII digits would be a partition above 800 million or an offset above 3·10¹⁸.
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

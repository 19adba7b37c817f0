/// Why a text cannot become a ``DecimalAmount``.
public enum DecimalParseError: Error, Hashable, Sendable {
    /// The text is not a number as in RFC 8259 §6. Leading zeros are allowed.
    case notADecimal
    /// The number does not fit: it has too many digits for `Int128`, or more than 38 decimal places.
    case outOfRange
}

extension DecimalAmount {
    /// Parses a decimal number such as `-12.3400e+2` from UTF-8.
    public init(utf8: Span<UInt8>) throws(DecimalParseError) {
        var parsed = ParsedDigits()
        let isNegative = try Self.parse(utf8, into: &parsed)
        if parsed.isTooLong, parsed.trailingZeros > 0 {
            // Trailing zeros do not change the value, so the number is parsed again without them.
            let zeros = parsed.trailingZeros
            parsed = ParsedDigits(limit: parsed.count - zeros)
            _ = try Self.parse(utf8, into: &parsed)
            parsed.scale -= zeros
        }
        try self.init(parsed, isNegative: isNegative)
    }

    /// - Returns: whether the number has a minus sign.
    private static func parse(
        _ utf8: Span<UInt8>, into parsed: inout ParsedDigits
    ) throws(DecimalParseError) -> Bool {
        var digits = DigitReader(utf8)
        let isNegative = digits.take(UInt8(ascii: "-"))
        try digits.takeDigits(into: &parsed)
        if digits.take(UInt8(ascii: ".")) {
            let before = parsed.count
            try digits.takeDigits(into: &parsed)
            parsed.scale = parsed.count - before
        }
        if digits.takeExponentMark() { parsed.scale -= try digits.takeExponent() }
        guard digits.isAtEnd else { throw .notADecimal }
        return isNegative
    }

    /// Parses a decimal number such as `-12.3400e+2`.
    public init(_ text: String) throws(DecimalParseError) {
        try self.init(utf8: text.utf8Span.span)
    }

    private init(_ parsed: ParsedDigits, isNegative: Bool) throws(DecimalParseError) {
        var magnitude = parsed.magnitude
        var scale = parsed.scale
        if magnitude == 0 {
            self.init(coefficient: 0, scale: (0...Self.maximumScale).contains(scale) ? scale : 0)
            return
        }
        if parsed.isTooLong || scale < -Self.maximumScale { throw .outOfRange }
        while scale < 0 {
            let (product, overflow) = magnitude.multipliedReportingOverflow(by: 10)
            if overflow { throw .outOfRange }
            magnitude = product
            scale += 1
        }
        while scale > Self.maximumScale {
            guard magnitude.isMultiple(of: 10) else { throw .outOfRange }
            magnitude /= 10
            scale -= 1
        }
        guard let coefficient = Int128(exactly: magnitude) else { throw .outOfRange }
        self.init(coefficient: isNegative ? -coefficient : coefficient, scale: scale)
    }

    /// Appends the number as text with exactly ``scale`` decimal places and without an exponent.
    public func appendText(to bytes: inout [UInt8]) {
        if coefficient < 0 { bytes.append(UInt8(ascii: "-")) }
        let start = bytes.count
        if let small = UInt64(exactly: coefficient.magnitude) {
            Self.appendReversed(small, minimumDigits: scale + 1, to: &bytes)
        } else {
            Self.appendReversed(coefficient.magnitude, minimumDigits: scale + 1, to: &bytes)
        }
        bytes[start...].reverse()
        if scale > 0 { bytes.insert(UInt8(ascii: "."), at: bytes.count - scale) }
    }

    @inline(__always)
    private static func appendReversed(
        _ magnitude: some FixedWidthInteger & UnsignedInteger, minimumDigits: Int, to bytes: inout [UInt8]
    ) {
        var rest = magnitude
        var digits = 0
        while rest > 0 || digits < minimumDigits {
            let (quotient, remainder) = rest.quotientAndRemainder(dividingBy: 10)
            bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: remainder))
            rest = quotient
            digits += 1
        }
    }
}

extension DecimalAmount: CustomStringConvertible {
    public var description: String {
        var bytes: [UInt8] = []
        appendText(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// The digits that have been read, as an integer without the decimal point.
private struct ParsedDigits {
    /// The value of the first 18 digits. It is cheap to extend.
    private var low: UInt64 = 0
    /// The value from the 19th digit on.
    private var high: UInt128 = 0
    private let limit: Int
    private(set) var count = 0
    /// The number of trailing zeros. The first 18 digits are not considered.
    private(set) var trailingZeros = 0
    private(set) var isTooLong = false
    var scale = 0

    /// - Parameter limit: the number of digits that contribute to the value. Later digits, which are zeros, are only
    ///   counted.
    init(limit: Int = .max) {
        self.limit = limit
    }

    var magnitude: UInt128 { min(count, limit) <= 18 ? UInt128(low) : high }

    mutating func append(_ digit: UInt8) {
        count += 1
        if count <= 18 {
            low = low * 10 + UInt64(digit)
            return
        }
        trailingZeros = digit == 0 ? trailingZeros + 1 : 0
        if count > limit { return }
        if count == 19 { high = UInt128(low) }
        let (product, overflow) = high.multipliedReportingOverflow(by: 10)
        let (sum, carry) = product.addingReportingOverflow(UInt128(digit))
        if overflow || carry { isTooLong = true }
        high = sum
    }
}

/// A cursor over the digits of a number.
private struct DigitReader: ~Escapable {
    private let bytes: Span<UInt8>
    private var index = 0

    @_lifetime(copy bytes)
    init(_ bytes: Span<UInt8>) {
        self.bytes = bytes
    }

    var isAtEnd: Bool { index == bytes.count }

    mutating func take(_ byte: UInt8) -> Bool {
        guard index < bytes.count, bytes[index] == byte else { return false }
        index += 1
        return true
    }

    mutating func takeExponentMark() -> Bool {
        take(UInt8(ascii: "e")) || take(UInt8(ascii: "E"))
    }

    /// Reads one or more digits.
    mutating func takeDigits(into parsed: inout ParsedDigits) throws(DecimalParseError) {
        let start = index
        while index < bytes.count, case let digit = bytes[index] &- UInt8(ascii: "0"), digit < 10 {
            parsed.append(digit)
            index += 1
        }
        if index == start { throw .notADecimal }
    }

    /// Reads the number after the `e`. The value is limited to 1,000,000,000, which is out of range already.
    mutating func takeExponent() throws(DecimalParseError) -> Int {
        let isNegative = take(UInt8(ascii: "-"))
        if !isNegative { _ = take(UInt8(ascii: "+")) }
        let start = index
        var value = 0
        while index < bytes.count, case let digit = bytes[index] &- UInt8(ascii: "0"), digit < 10 {
            value = min(value * 10 + Int(digit), 1_000_000_000)
            index += 1
        }
        if index == start { throw .notADecimal }
        return isNegative ? -value : value
    }
}

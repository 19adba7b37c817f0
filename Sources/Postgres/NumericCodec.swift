/// An exact decimal number: `coefficient × 10^−scale`. Types for money conform to it, so their values become `numeric`
/// and are read back without passing through a binary floating-point number.
public protocol PostgresDecimal: Sendable {
    var coefficient: Int128 { get }
    /// The number of decimal places. A negative scale stands for zeros before the decimal point.
    var scale: Int { get }
}

/// Reads and writes PostgreSQL's binary `numeric`: digits in base 10,000, the weight of the first digit, a sign, and
/// the number of decimal places to show (`numeric_send` and `numeric_recv` in the server's `numeric.c`).
enum NumericCodec {
    private static let positive: UInt16 = 0x0000
    private static let negative: UInt16 = 0x4000
    private static let nan: UInt16 = 0xC000
    private static let positiveInfinity: UInt16 = 0xD000
    private static let negativeInfinity: UInt16 = 0xF000
    /// The largest scale that the format allows (`NUMERIC_DSCALE_MAX`).
    private static let maximumScale = 16_383
    /// The largest weight that the format allows: it is a signed 16-bit integer.
    private static let maximumWeight = 0x7FFF

    // MARK: encoding

    static func append(_ coefficient: Int128, scale: Int, to buffer: inout WireBuffer) {
        precondition(abs(scale) <= maximumScale, "a decimal's scale is beyond PostgreSQL's")
        let (shift, lowest) = aligned(exponent: -scale)
        // The loops fill the groups from the least significant one. The groups are then written in reverse. The 39
        // digits of an Int128 and up to three zeros make at most 11 groups.
        var groups = InlineArray<12, UInt16>(repeating: 0)
        var count = 0
        var rest = coefficient.magnitude
        if rest != 0 {
            let first = power(4 - shift)
            groups[0] = UInt16(truncatingIfNeeded: rest % UInt128(first)) * UInt16(power(shift))
            count = 1
            rest /= UInt128(first)
        }
        while rest > UInt128(UInt64.max) {
            groups[count] = UInt16(truncatingIfNeeded: rest % 10_000)
            count += 1
            rest /= 10_000
        }
        var small = UInt64(truncatingIfNeeded: rest)
        while small > 0 {
            groups[count] = UInt16(truncatingIfNeeded: small % 10_000)
            count += 1
            small /= 10_000
        }
        buffer.append(Int16(count))
        buffer.append(Int16(truncatingIfNeeded: count == 0 ? 0 : lowest + count - 1))
        buffer.append(coefficient < 0 ? negative : positive)
        buffer.append(Int16(max(scale, 0)))
        for index in stride(from: count - 1, through: 0, by: -1) {
            buffer.append(groups[index])
        }
    }

    /// Splits an exponent so that `10^exponent = 10^shift × 10,000^group`, with `shift` in 0…3.
    private static func aligned(exponent: Int) -> (shift: Int, group: Int) {
        let shift = ((exponent % 4) + 4) % 4
        return (shift, (exponent - shift) / 4)
    }

    private static func power(_ exponent: Int) -> Int {
        switch exponent {
        case 0: 1
        case 1: 10
        case 2: 100
        case 3: 1_000
        default: 10_000
        }
    }

    /// Appends the number that `text` denotes: a sign, digits with or without a point, and an exponent; or `NaN`,
    /// `Infinity` or `-Infinity`.
    ///
    /// - Throws: ``PostgresError/Code-swift.enum/encoding`` if `text` is not a number or is outside PostgreSQL's range.
    static func append(text: Span<UInt8>, to buffer: inout WireBuffer) throws(PostgresError) {
        guard let literal = DecimalLiteral(text) else {
            guard let special = special(text) else {
                throw PostgresError(.encoding, "not a decimal number")
            }
            buffer.append(UInt32(0))
            buffer.append(special)
            return buffer.append(UInt16(0))
        }
        let scale = -literal.exponent
        guard scale <= maximumScale else { throw PostgresError(.encoding, "the number has too many decimal places") }
        guard literal.firstDigit < literal.lastDigit else {
            buffer.append(UInt32(0))
            buffer.append(positive)
            return buffer.append(Int16(max(scale, 0)))
        }
        appendGroups(of: literal, in: text, scale: scale, to: &buffer)
        guard literal.digits + literal.exponent <= 4 * maximumWeight else {
            throw PostgresError(.encoding, "the number is outside PostgreSQL's range")
        }
    }

    private static func appendGroups(
        of literal: DecimalLiteral, in text: Span<UInt8>, scale: Int, to buffer: inout WireBuffer
    ) {
        let (shift, lowest) = aligned(exponent: literal.exponent)
        // The digits, followed by `shift` zeros, form groups of four that are counted from the right.
        let total = literal.digits + shift
        let count = (total + 3) / 4
        buffer.append(Int16(truncatingIfNeeded: count))
        buffer.append(Int16(truncatingIfNeeded: lowest + count - 1))
        buffer.append(literal.isNegative ? negative : positive)
        buffer.append(Int16(truncatingIfNeeded: max(scale, 0)))
        var group: UInt16 = 0
        var remaining = total
        func close(_ buffer: inout WireBuffer) {
            remaining -= 1
            if remaining % 4 == 0 {
                buffer.append(group)
                group = 0
            }
        }
        for index in literal.firstDigit..<literal.lastDigit where text[index] != UInt8(ascii: ".") {
            group = group * 10 + UInt16(text[index] &- UInt8(ascii: "0"))
            close(&buffer)
        }
        for _ in 0..<shift {
            group *= 10
            close(&buffer)
        }
    }

    private static func special(_ text: Span<UInt8>) -> UInt16? {
        switch text.count {
        case 3 where matches(text, "NaN"): nan
        case 8 where matches(text, "Infinity"): positiveInfinity
        case 9 where matches(text, "-Infinity"): negativeInfinity
        default: nil
        }
    }

    private static func matches(_ text: Span<UInt8>, _ word: StaticString) -> Bool {
        let expected = word.description.utf8Span.span
        for index in text.indices where text[index] != expected[index] { return false }
        return true
    }
}

/// The positions of the digits in a decimal literal.
private struct DecimalLiteral {
    var isNegative = false
    /// The position of the first significant digit, and the end of the digits. A point may be between them.
    var firstDigit = 0
    var lastDigit = 0
    /// The number of significant digits.
    var digits = 0
    /// The power of ten by which the digits, read as an integer, are multiplied.
    var exponent = 0

    init?(_ text: Span<UInt8>) {
        var position = 0
        if position < text.count, text[position] == UInt8(ascii: "-") || text[position] == UInt8(ascii: "+") {
            isNegative = text[position] == UInt8(ascii: "-")
            position += 1
        }
        var hasDigits = false
        var hasPoint = false
        var isSignificant = false
        firstDigit = text.count
        while position < text.count {
            let byte = text[position]
            if byte == UInt8(ascii: ".") {
                guard !hasPoint else { return nil }
                hasPoint = true
            } else if byte &- UInt8(ascii: "0") < 10 {
                hasDigits = true
                if hasPoint { exponent -= 1 }
                if byte != UInt8(ascii: "0") && !isSignificant {
                    isSignificant = true
                    firstDigit = position
                }
                if isSignificant { digits += 1 }
            } else {
                break
            }
            position += 1
        }
        lastDigit = position
        guard hasDigits else { return nil }
        guard position < text.count else { return }
        guard let power = Self.exponent(text, at: position) else { return nil }
        exponent += power
    }

    /// Reads `e`, an optional sign and digits, up to the end. Larger values are clamped to 1,000,000, which is already
    /// outside PostgreSQL's range.
    private static func exponent(_ text: Span<UInt8>, at start: Int) -> Int? {
        guard text[start] | 0x20 == UInt8(ascii: "e") else { return nil }
        var position = start + 1
        var isNegative = false
        if position < text.count, text[position] == UInt8(ascii: "-") || text[position] == UInt8(ascii: "+") {
            isNegative = text[position] == UInt8(ascii: "-")
            position += 1
        }
        guard position < text.count else { return nil }
        var value = 0
        while position < text.count {
            let digit = text[position] &- UInt8(ascii: "0")
            guard digit < 10 else { return nil }
            value = min(value * 10 + Int(digit), 1_000_000)
            position += 1
        }
        return isNegative ? -value : value
    }
}

// MARK: - Decoding

extension NumericCodec {
    /// The number's digits with as many decimal places as its scale, or `NaN`, `Infinity` or `-Infinity`; nil if the
    /// bytes are malformed.
    static func text(_ wire: Span<UInt8>) -> String? {
        guard let header = Header(wire) else { return nil }
        switch header.sign {
        case nan: return "NaN"
        case positiveInfinity: return "Infinity"
        case negativeInfinity: return "-Infinity"
        default: break
        }
        var text: [UInt8] = []
        text.reserveCapacity(header.count * 4 + header.scale + 8)
        if header.sign == negative { text.append(UInt8(ascii: "-")) }
        if header.weight < 0 {
            text.append(UInt8(ascii: "0"))
        } else {
            for place in 0...header.weight {
                append(group: header.group(place, in: wire), skipZeros: place == 0, to: &text)
            }
        }
        if header.scale > 0 {
            text.append(UInt8(ascii: "."))
            let end = text.count + header.scale
            var exponent = -1
            while text.count < end {
                append(group: header.group(header.weight - exponent, in: wire), skipZeros: false, to: &text)
                exponent -= 1
            }
            text.removeLast(text.count - end)
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The coefficient and the scale; nil if the number is not finite or does not fit into `Int128`.
    static func decimal(_ wire: Span<UInt8>) -> (coefficient: Int128, scale: Int)? {
        guard let header = Header(wire), header.sign == positive || header.sign == negative else { return nil }
        var value: Int128 = 0
        let places = header.scale / 4 + (header.scale % 4 == 0 ? 0 : 1)
        // The loop goes from the first group to the group that contains the last decimal place.
        for exponent in stride(from: max(header.weight, -1), through: -places, by: -1) {
            let group = Int128(header.group(header.weight - exponent, in: wire))
            let isLast = exponent == -places && header.scale % 4 != 0
            let kept = isLast ? power(header.scale % 4) : 10_000
            let (product, overflow) = value.multipliedReportingOverflow(by: Int128(kept))
            let (sum, overflowed) = product.addingReportingOverflow(group / Int128(10_000 / kept))
            if overflow || overflowed { return nil }
            value = sum
        }
        return (header.sign == negative ? -value : value, header.scale)
    }

    private struct Header {
        let count: Int
        let weight: Int
        let sign: UInt16
        let scale: Int

        init?(_ wire: Span<UInt8>) {
            guard wire.count >= 8 else { return nil }
            func word(_ offset: Int) -> UInt16 { UInt16(wire[offset]) << 8 | UInt16(wire[offset + 1]) }
            count = Int(word(0))
            weight = Int(Int16(bitPattern: word(2)))
            sign = word(4)
            scale = Int(word(6))
            guard wire.count == 8 + 2 * count else { return nil }
        }

        /// The base-10,000 digit at `place`, counted from the first digit; 0 for places that are not stored.
        func group(_ place: Int, in wire: Span<UInt8>) -> UInt16 {
            guard place >= 0 && place < count else { return 0 }
            return UInt16(wire[8 + 2 * place]) << 8 | UInt16(wire[9 + 2 * place])
        }
    }

    private static func append(group: UInt16, skipZeros: Bool, to text: inout [UInt8]) {
        var divisor: UInt16 = 1_000
        var isSkipping = skipZeros
        while divisor > 0 {
            let digit = UInt8(truncatingIfNeeded: group / divisor % 10)
            if digit != 0 || divisor == 1 { isSkipping = false }
            if !isSkipping { text.append(UInt8(ascii: "0") + digit) }
            divisor /= 10
        }
    }
}

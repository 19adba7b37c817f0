/// A cursor over JSON text (RFC 8259) that borrows its bytes and makes nothing that it was not asked for.
///
/// The caller pulls: it enters objects and arrays, compares keys with names that are known at compile time, reads the
/// values it wants and skips the others. Skipped values are checked as strictly as read ones.
///
/// ```swift
/// var reader = try JSONReader(bytes)
/// try reader.enterObject()
/// while let key = try reader.nextKey() {
///     if reader.matches(key, "sequence") { sequence = try reader.readInt64() } else { try reader.skipValue() }
/// }
/// try reader.finish()
/// ```
///
/// Rules where RFC 8259 leaves a choice: the input is UTF-8 as a whole; a byte order mark in front is passed
/// over (§8.1), as many writers on Windows set one; nesting is limited; a string's `\u` surrogates must be paired when
/// it is read as text; members are handed out in their order, **also two of the same name**: it is the caller who knows
/// which names matter and refuses a second one.
///
/// After ``nextKey()`` or a true ``nextElement()`` exactly one value must be read, entered or skipped.
public struct JSONReader: ~Escapable {
    /// Objects and arrays inside each other, at most; also the most that `depthLimit` can be.
    public static var maximumDepth: Int { 64 }

    /// The whole input.
    public let bytes: Span<UInt8>
    /// Bytes of the input before the cursor.
    public internal(set) var offset = 0

    private let depthLimit: Int
    private var depth = 0
    /// Whether a value of the current container was just completed, so that `,` or its end must follow.
    private var isAfterValue = false

    /// - Parameters:
    ///   - bytes: one JSON value, white space around it allowed.
    ///   - depthLimit: how deep objects and arrays may be nested, 1–64.
    /// - Throws: ``JSONError/Code/invalidUTF8`` when the bytes are not UTF-8.
    @_lifetime(copy bytes)
    public init(_ bytes: Span<UInt8>, depthLimit: Int = 64) throws(JSONError) {
        precondition((1...Self.maximumDepth).contains(depthLimit), "a reader's depth limit is 1–64")
        if let offset = UTF8Scan.firstInvalid(in: bytes) {
            throw JSONError(.invalidUTF8, at: offset, expected: .utf8)
        }
        self.bytes = bytes
        self.depthLimit = depthLimit
        if bytes.count >= 3, bytes[0] == 0xEF, bytes[1] == 0xBB, bytes[2] == 0xBF { offset = 3 }
    }

    /// A cursor that stands before the value that starts at `offset`, once found by ``skipValue()``. It knows nothing
    /// of the containers around that value.
    @_lifetime(copy self)
    public func reader(at offset: Int) -> JSONReader {
        var copy = self
        copy.offset = offset
        copy.isAfterValue = false
        return copy
    }

    // MARK: containers

    /// Steps into the object that comes next.
    public mutating func enterObject() throws(JSONError) {
        try enter(UInt8(ascii: "{"), expected: .object)
    }

    /// Steps into the array that comes next.
    public mutating func enterArray() throws(JSONError) {
        try enter(UInt8(ascii: "["), expected: .array)
    }

    /// Steps over the next key and its colon.
    ///
    /// - Returns: nil when the object ended; the cursor is then behind it.
    public mutating func nextKey() throws(JSONError) -> JSONText? {
        guard try advanceToMember(closing: UInt8(ascii: "}"), expected: .key) else { return nil }
        guard bytes[offset] == UInt8(ascii: "\"") else { throw unexpected(.key) }
        let key = try scanString()
        let byte = try nextByte(expected: .colon)
        guard byte == UInt8(ascii: ":") else { throw unexpected(.colon) }
        offset &+= 1
        isAfterValue = false
        return key
    }

    /// Steps to the next element of the array.
    ///
    /// - Returns: false when the array ended; the cursor is then behind it.
    public mutating func nextElement() throws(JSONError) -> Bool {
        try advanceToMember(closing: UInt8(ascii: "]"), expected: .value)
    }

    /// Requires that nothing but white space follows.
    public mutating func finish() throws(JSONError) {
        skipWhitespace()
        if offset < bytes.count { throw JSONError(.trailingBytes, at: offset, expected: .end) }
    }

    private mutating func enter(_ opening: UInt8, expected: JSONError.Expectation) throws(JSONError) {
        guard try nextByte(expected: expected) == opening else { throw try mismatch(expected) }
        guard depth < depthLimit else { throw JSONError(.tooDeep, at: offset, expected: expected) }
        depth &+= 1
        offset &+= 1
        isAfterValue = false
    }

    /// Steps over the comma when one is due, to the first byte of the next member; false at the container's end.
    private mutating func advanceToMember(
        closing: UInt8, expected: JSONError.Expectation
    ) throws(JSONError) -> Bool {
        let byte = try nextByte(expected: isAfterValue ? .commaOrEnd : expected)
        if byte == closing {
            offset &+= 1
            depth &-= 1
            isAfterValue = true
            return false
        }
        guard isAfterValue else { return true }
        guard byte == UInt8(ascii: ",") else { throw unexpected(.commaOrEnd) }
        offset &+= 1
        isAfterValue = false
        if try nextByte(expected: expected) == closing { throw unexpected(expected) }
        return true
    }

    // MARK: scalars

    /// What the next value is. The cursor moves over white space only.
    public mutating func peek() throws(JSONError) -> JSONKind {
        switch try nextByte(expected: .value) {
        case UInt8(ascii: "{"): return .object
        case UInt8(ascii: "["): return .array
        case UInt8(ascii: "\""): return .string
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .boolean
        case UInt8(ascii: "n"): return .null
        default: throw unexpected(.value)
        }
    }

    /// Reads a string without copying it.
    public mutating func readText() throws(JSONError) -> JSONText {
        guard try nextByte(expected: .string) == UInt8(ascii: "\"") else { throw try mismatch(.string) }
        let text = try scanString()
        isAfterValue = true
        return text
    }

    /// Reads a string.
    public mutating func readString() throws(JSONError) -> String {
        try string(of: readText())
    }

    /// Reads a number and returns where its digits are, sign, fraction and exponent included, checked by the grammar.
    public mutating func readNumber() throws(JSONError) -> Range<Int> {
        let first = try nextByte(expected: .number)
        guard first == UInt8(ascii: "-") || Self.isDigit(first) else { throw try mismatch(.number) }
        let start = offset
        try scanNumber()
        isAfterValue = true
        return start..<offset
    }

    /// Reads a number that is an integer of 64 bits, written without fraction and exponent.
    public mutating func readInt64() throws(JSONError) -> Int64 {
        let digits = try readNumber()
        var index = digits.lowerBound
        let isNegative = bytes[index] == UInt8(ascii: "-")
        if isNegative { index &+= 1 }
        var value: Int64 = 0
        while index < digits.upperBound {
            let digit = bytes[index] &- UInt8(ascii: "0")
            // Built downwards, because the negative range is the larger one.
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (difference, underflow) = product.subtractingReportingOverflow(Int64(digit))
            guard digit < 10, !overflow, !underflow else {
                throw JSONError(.notAnInteger, at: digits.lowerBound, expected: .integer)
            }
            value = difference
            index &+= 1
        }
        if isNegative { return value }
        guard value != .min else { throw JSONError(.notAnInteger, at: digits.lowerBound, expected: .integer) }
        return -value
    }

    /// Reads `true` or `false`.
    public mutating func readBool() throws(JSONError) -> Bool {
        switch try nextByte(expected: .boolean) {
        case UInt8(ascii: "t"):
            try scanLiteral("true")
            isAfterValue = true
            return true
        case UInt8(ascii: "f"):
            try scanLiteral("false")
            isAfterValue = true
            return false
        default: throw try mismatch(.boolean)
        }
    }

    /// Reads `null` if it comes next.
    ///
    /// - Returns: false, with the cursor before the value, when it is anything else.
    public mutating func readNull() throws(JSONError) -> Bool {
        guard try nextByte(expected: .value) == UInt8(ascii: "n") else { return false }
        try scanLiteral("null")
        isAfterValue = true
        return true
    }

    // MARK: skipping

    /// Steps over the next value of whatever type, checking it.
    ///
    /// - Returns: where it stands in the input, to be kept verbatim or read later.
    @discardableResult
    public mutating func skipValue() throws(JSONError) -> Range<Int> {
        _ = try nextByte(expected: .value)
        let start = offset
        let outerDepth = depth
        // A bit a level: set for an object, clear for an array.
        var isObject: UInt64 = 0
        repeat {
            if depth > outerDepth {
                if isObject & 1 == 1 {
                    guard try nextKey() != nil else {
                        isObject >>= 1
                        continue
                    }
                } else {
                    guard try nextElement() else {
                        isObject >>= 1
                        continue
                    }
                }
            }
            switch try nextByte(expected: .value) {
            case UInt8(ascii: "\""):
                _ = try scanString()
                isAfterValue = true
            case UInt8(ascii: "{"):
                try enterObject()
                isObject = isObject << 1 | 1
            case UInt8(ascii: "["):
                try enterArray()
                isObject <<= 1
            case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                try scanNumber()
                isAfterValue = true
            case UInt8(ascii: "n"): _ = try readNull()
            case UInt8(ascii: "t"), UInt8(ascii: "f"): _ = try readBool()
            default: throw unexpected(.value)
            }
        } while depth > outerDepth
        return start..<offset
    }
}

// MARK: - scanning

extension JSONReader {
    @inline(__always)
    private mutating func skipWhitespace() {
        while offset < bytes.count {
            switch bytes[offset] {
            case 0x20, 0x0A, 0x0D, 0x09: offset &+= 1
            default: return
            }
        }
    }

    /// The next byte that is no white space; the cursor stands before it.
    @inline(__always)
    private mutating func nextByte(expected: JSONError.Expectation) throws(JSONError) -> UInt8 {
        skipWhitespace()
        guard offset < bytes.count else { throw JSONError(.unexpectedEnd, at: bytes.count, expected: expected) }
        return bytes[offset]
    }

    /// Steps over the string whose opening quote is at the cursor.
    @inline(__always)
    private mutating func scanString() throws(JSONError) -> JSONText {
        let start = offset &+ 1
        let end = ByteScan.firstSpecial(in: bytes, from: start)
        guard end < bytes.count, bytes[end] == UInt8(ascii: "\"") else { return try scanEscapedString(from: start) }
        offset = end &+ 1
        return JSONText(range: start..<end, hasEscapes: false)
    }

    private mutating func scanEscapedString(from start: Int) throws(JSONError) -> JSONText {
        var index = start
        while true {
            index = ByteScan.firstSpecial(in: bytes, from: index)
            guard index < bytes.count else { throw JSONError(.unexpectedEnd, at: bytes.count, expected: .string) }
            switch bytes[index] {
            case UInt8(ascii: "\""):
                offset = index + 1
                return JSONText(range: start..<index, hasEscapes: true)
            case UInt8(ascii: "\\"):
                index = try JSONEscape.end(in: bytes, at: index)
            default: throw JSONError(.controlCharacter, at: index, expected: .string)
            }
        }
    }

    private mutating func scanNumber() throws(JSONError) {
        if bytes[offset] == UInt8(ascii: "-") { offset &+= 1 }
        if offset < bytes.count, bytes[offset] == UInt8(ascii: "0") {
            offset &+= 1
            if offset < bytes.count, Self.isDigit(bytes[offset]) { throw invalidNumber() }
        } else {
            try scanDigits()
        }
        if offset < bytes.count, bytes[offset] == UInt8(ascii: ".") {
            offset &+= 1
            try scanDigits()
        }
        if offset < bytes.count, bytes[offset] | 0x20 == UInt8(ascii: "e") {
            offset &+= 1
            if offset < bytes.count, bytes[offset] == UInt8(ascii: "+") || bytes[offset] == UInt8(ascii: "-") {
                offset &+= 1
            }
            try scanDigits()
        }
    }

    /// Steps over one digit or more.
    private mutating func scanDigits() throws(JSONError) {
        let start = offset
        while offset < bytes.count, Self.isDigit(bytes[offset]) { offset &+= 1 }
        if offset == start { throw invalidNumber() }
    }

    private mutating func scanLiteral(_ literal: StaticString) throws(JSONError) {
        let end = offset + literal.utf8CodeUnitCount
        guard end <= bytes.count else { throw JSONError(.unexpectedEnd, at: bytes.count, expected: .value) }
        guard bytes.extracting(offset..<end).isEqual(to: literal) else { throw unexpected(.value) }
        offset = end
    }

    @inline(__always)
    private static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }

    private func invalidNumber() -> JSONError {
        offset < bytes.count
            ? JSONError(.invalidNumber, at: offset, expected: .number)
            : JSONError(.unexpectedEnd, at: offset, expected: .number)
    }

    private func unexpected(_ expected: JSONError.Expectation) -> JSONError {
        JSONError(.unexpectedByte, at: offset, expected: expected)
    }

    /// The error for what is not of the expected type: wrong shape if it is a value of another one, else what breaks
    /// it.
    private func mismatch(_ expected: JSONError.Expectation) throws(JSONError) -> JSONError {
        var probe = self
        try probe.skipValue()
        return JSONError(.wrongType, at: offset, expected: expected)
    }
}

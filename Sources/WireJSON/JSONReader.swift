/// A cursor over JSON text (RFC 8259). It borrows the bytes, and copies or allocates only if the caller asks for it.
///
/// The caller controls the reading: it enters objects and arrays, compares keys with names, reads the values that it
/// needs and skips the others. Skipped values are checked as strictly as read ones.
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
/// Where RFC 8259 leaves a choice, these rules apply:
///
/// - The whole input must be UTF-8. A byte order mark at the start is skipped (§8.1), because many writers on Windows
///   write one.
/// - Nesting is limited.
/// - The `\u` surrogates of a string must be paired when it is read as text.
/// - Members are returned in their order, **including members with the same name**. The caller knows which names
///   matter, and must reject a second one.
///
/// After ``nextKey()``, or after ``nextElement()`` returned true, the caller must read, enter or skip exactly one
/// value.
public struct JSONReader: ~Escapable {
    /// The maximum nesting depth of objects and arrays, and the largest allowed `depthLimit`.
    public static var maximumDepth: Int { 64 }

    /// The whole input.
    public let bytes: Span<UInt8>
    /// The position of the cursor, in bytes from the start of the input.
    public internal(set) var offset = 0

    private let depthLimit: Int
    private var depth = 0
    /// Whether a value of the current container has just ended, so that `,` or the end of the container must follow.
    private var isAfterValue = false

    /// - Parameters:
    ///   - bytes: one JSON value, which white space may surround.
    ///   - depthLimit: the maximum nesting depth of objects and arrays, 1–64.
    /// - Throws: ``JSONError/Code/invalidUTF8`` if the bytes are not UTF-8.
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

    /// A cursor before the value that starts at `offset`, which ``skipValue()`` has returned. It does not know the
    /// containers around that value.
    @_lifetime(copy self)
    public func reader(at offset: Int) -> JSONReader {
        var copy = self
        copy.offset = offset
        copy.isAfterValue = false
        return copy
    }

    // MARK: containers

    /// Enters the object that comes next.
    public mutating func enterObject() throws(JSONError) {
        try enter(UInt8(ascii: "{"), expected: .object)
    }

    /// Enters the array that comes next.
    public mutating func enterArray() throws(JSONError) {
        try enter(UInt8(ascii: "["), expected: .array)
    }

    /// Reads the next key and its colon.
    ///
    /// - Returns: nil at the end of the object. The cursor is then after the object.
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

    /// Moves to the next element of the array.
    ///
    /// - Returns: false at the end of the array. The cursor is then after the array.
    public mutating func nextElement() throws(JSONError) -> Bool {
        try advanceToMember(closing: UInt8(ascii: "]"), expected: .value)
    }

    /// Requires that only white space follows.
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

    /// Skips the comma, if one is required, and moves to the first byte of the next member. Returns false at the end of
    /// the container.
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

    /// The kind of the next value. The cursor moves only over white space.
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

    /// Reads a number, checks its grammar, and returns the range of its characters, including sign, fraction and
    /// exponent.
    public mutating func readNumber() throws(JSONError) -> Range<Int> {
        let first = try nextByte(expected: .number)
        guard first == UInt8(ascii: "-") || Self.isDigit(first) else { throw try mismatch(.number) }
        let start = offset
        try scanNumber()
        isAfterValue = true
        return start..<offset
    }

    /// Reads a number that is a 64-bit integer without a fraction and an exponent.
    public mutating func readInt64() throws(JSONError) -> Int64 {
        let digits = try readNumber()
        var index = digits.lowerBound
        let isNegative = bytes[index] == UInt8(ascii: "-")
        if isNegative { index &+= 1 }
        var value: Int64 = 0
        while index < digits.upperBound {
            let digit = bytes[index] &- UInt8(ascii: "0")
            // The value is built as a negative number, because the negative range is the larger one.
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

    /// Reads `null` if it is the next value.
    ///
    /// - Returns: false for any other value. The cursor is then before it.
    public mutating func readNull() throws(JSONError) -> Bool {
        guard try nextByte(expected: .value) == UInt8(ascii: "n") else { return false }
        try scanLiteral("null")
        isAfterValue = true
        return true
    }

    // MARK: skipping

    /// Skips the next value of any type, and checks it.
    ///
    /// - Returns: the range of the value in the input, from which it can be copied or read later.
    @discardableResult
    public mutating func skipValue() throws(JSONError) -> Range<Int> {
        _ = try nextByte(expected: .value)
        let start = offset
        let outerDepth = depth
        // One bit for each level: 1 for an object, 0 for an array.
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

    /// The next byte that is not white space. The cursor stays before it.
    @inline(__always)
    private mutating func nextByte(expected: JSONError.Expectation) throws(JSONError) -> UInt8 {
        skipWhitespace()
        guard offset < bytes.count else { throw JSONError(.unexpectedEnd, at: bytes.count, expected: expected) }
        return bytes[offset]
    }

    /// Reads the string whose opening quote is at the cursor.
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

    /// Reads one or more digits.
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

    /// The error for a value that does not have the expected type: `wrongType` if it is valid, or else the error of the
    /// malformed value.
    private func mismatch(_ expected: JSONError.Expectation) throws(JSONError) -> JSONError {
        var probe = self
        try probe.skipValue()
        return JSONError(.wrongType, at: offset, expected: expected)
    }
}

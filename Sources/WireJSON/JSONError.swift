/// Explains why bytes are not the JSON that the caller asked for, and at which offset.
///
/// It contains no text of the input, so it is cheap to throw and safe to log.
public struct JSONError: Error, Hashable, Sendable {
    /// The kind of problem.
    public enum Code: Hashable, Sendable {
        /// The bytes are not UTF-8 (RFC 8259 §8.1).
        case invalidUTF8
        /// The input ends inside a value.
        case unexpectedEnd
        /// The byte is not allowed at this place.
        case unexpectedByte
        /// The value has another type than the caller asked for. The JSON itself may be valid.
        case wrongType
        /// `\` is followed by a character that RFC 8259 §7 does not define.
        case invalidEscape
        /// One of the escapes `\uD800`–`\uDFFF` without its other half. It is no character, so no string can contain
        /// it.
        case loneSurrogate
        /// A string contains an unescaped byte below 0x20.
        case controlCharacter
        /// The grammar of RFC 8259 §6 does not allow the number, for example `01` or `1.`.
        case invalidNumber
        /// The number is not a 64-bit integer.
        case notAnInteger
        /// Objects and arrays are nested more deeply than the reader allows.
        case tooDeep
        /// The value is followed by something other than white space.
        case trailingBytes
    }

    /// What the reader expected at the place of the problem.
    public enum Expectation: Hashable, Sendable {
        case value, object, array, string, number, integer, boolean, null, key, colon, commaOrEnd, escape, end, utf8
    }

    public let code: Code
    /// The position of the problem, in bytes from the start of the input.
    public let offset: Int
    public let expected: Expectation

    public init(_ code: Code, at offset: Int, expected: Expectation) {
        self.code = code
        self.offset = offset
        self.expected = expected
    }

    /// Whether the input may be valid JSON, and only a value's type is not the one that the caller asked for.
    public var isShape: Bool { code == .wrongType || code == .notAnInteger }
}

extension JSONError: CustomStringConvertible {
    public var description: String {
        "\(code.text) at byte \(offset), expected \(expected.text)"
    }
}

extension JSONError.Code {
    fileprivate var text: String {
        switch self {
        case .invalidUTF8: "invalid UTF-8"
        case .unexpectedEnd: "unexpected end"
        case .unexpectedByte: "unexpected byte"
        case .wrongType: "wrong type"
        case .invalidEscape: "invalid escape"
        case .loneSurrogate: "unpaired surrogate"
        case .controlCharacter: "unescaped control character"
        case .invalidNumber: "invalid number"
        case .notAnInteger: "not a 64-bit integer"
        case .tooDeep: "nested too deeply"
        case .trailingBytes: "bytes after the value"
        }
    }
}

extension JSONError.Expectation {
    fileprivate var text: String {
        switch self {
        case .value: "a value"
        case .object: "an object"
        case .array: "an array"
        case .string: "a string"
        case .number: "a number"
        case .integer: "an integer"
        case .boolean: "true or false"
        case .null: "null"
        case .key: "a key"
        case .colon: "':'"
        case .commaOrEnd: "',' or the end of the container"
        case .escape: "an escape of RFC 8259"
        case .end: "the end"
        case .utf8: "UTF-8"
        }
    }
}

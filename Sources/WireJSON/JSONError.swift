/// Why bytes are not the JSON that the reader was asked for, and where.
///
/// A plain value without text of the input: it is cheap to throw and safe to log.
public struct JSONError: Error, Hashable, Sendable {
    /// What is wrong.
    public enum Code: Hashable, Sendable {
        /// The bytes are not UTF-8 (RFC 8259 §8.1).
        case invalidUTF8
        /// The input ends inside a value.
        case unexpectedEnd
        /// A byte that cannot stand here.
        case unexpectedByte
        /// A value of another type than the one asked for; the JSON itself may be fine.
        case wrongType
        /// `\` followed by something that RFC 8259 §7 does not know.
        case invalidEscape
        /// A `\uD800`–`\uDFFF` without its other half: no character, so no string can hold it.
        case loneSurrogate
        /// An unescaped byte below 0x20 in a string.
        case controlCharacter
        /// Digits that the grammar of RFC 8259 §6 does not allow, such as `01` or `1.`.
        case invalidNumber
        /// A number that is no integer of 64 bits.
        case notAnInteger
        /// Nested deeper than the reader's limit.
        case tooDeep
        /// Something other than white space after the value.
        case trailingBytes
    }

    /// What the reader looked for.
    public enum Expectation: Hashable, Sendable {
        case value, object, array, string, number, integer, boolean, null, key, colon, commaOrEnd, escape, end, utf8
    }

    public let code: Code
    /// Bytes from the start of the input to the problem.
    public let offset: Int
    public let expected: Expectation

    public init(_ code: Code, at offset: Int, expected: Expectation) {
        self.code = code
        self.offset = offset
        self.expected = expected
    }

    /// Whether the input may be valid JSON and only its shape was not the one asked for.
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
        case .notAnInteger: "no 64-bit integer"
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

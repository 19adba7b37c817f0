internal import StreamCore
internal import WireJSON

/// A condition on the value at a path in JSON text.
public struct JSONCondition: Sendable, Equatable {
    enum Step: Sendable, Equatable {
        case member([UInt8])
        case element(Int)
    }

    enum Test: Sendable, Equatable {
        case exists, isAbsent
        case equals(JSONScalar)
        case differs(JSONScalar)
    }

    let path: [Step]
    let test: Test

    init(members: [String], equals text: String) {
        path = members.map { .member(Array($0.utf8)) }
        test = .equals(JSONScalar(text: text))
    }

    /// Parses `path==value`, `path!=value`, `path` (the path exists) or `!path` (it does not exist).
    ///
    /// A path has the form `payload.items[0].sku`, with or without `$.` before it. A name that contains dots is written
    /// as `["a.b"]`. A value in double quotes matches only a string. A value without quotes matches the string, the
    /// number, and `true`, `false` or `null` with the same text.
    ///
    /// - Throws: ``TailSyntaxError``.
    public init(parsing text: String) throws(TailSyntaxError) {
        let bytes = Array(text.utf8)
        var parser = PathParser(bytes)
        let isAbsent = parser.takeIfNext(UInt8(ascii: "!"))
        path = try parser.path()
        if parser.isAtEnd {
            test = isAbsent ? .isAbsent : .exists
            return
        }
        let isNegated = parser.takeIfNext(UInt8(ascii: "!"))
        // `path=value` is accepted and means the same as `path==value`.
        guard !isAbsent, parser.takeIfNext(UInt8(ascii: "=")) else { throw parser.problem() }
        _ = parser.takeIfNext(UInt8(ascii: "="))
        let value = JSONScalar(text: String(decoding: parser.rest, as: UTF8.self))
        test = isNegated ? .differs(value) : .equals(value)
    }

    /// Whether the condition holds. `!=` is the opposite of `==`, so it also holds if the path does not exist or the
    /// value is not JSON.
    func holds(for value: Span<UInt8>?) -> Bool {
        switch test {
        case .exists: return matches(value, nil)
        case .isAbsent: return !matches(value, nil)
        case .equals(let scalar): return matches(value, scalar)
        case .differs(let scalar): return !matches(value, scalar)
        }
    }

    /// Whether the path exists and has this value.
    private func matches(_ value: Span<UInt8>?, _ scalar: JSONScalar?) -> Bool {
        guard let value, value.count > 0 else { return false }
        do throws(JSONError) {
            var reader = try JSONReader(value)
            for step in path {
                guard try Self.descend(&reader, step) else { return false }
            }
            guard let scalar else {
                _ = try reader.peek()
                return true
            }
            return try scalar.isEqual(toNext: &reader)
        } catch {
            return false
        }
    }

    private static func descend(_ reader: inout JSONReader, _ step: Step) throws(JSONError) -> Bool {
        switch (step, try reader.peek()) {
        case (.member(let name), .object):
            try reader.enterObject()
            while let key = try reader.nextKey() {
                if reader.matches(key, name.span) { return true }
                try reader.skipValue()
            }
            return false
        case (.element(let wanted), .array):
            try reader.enterArray()
            var index = 0
            while try reader.nextElement() {
                if index == wanted { return true }
                try reader.skipValue()
                index += 1
            }
            return false
        default: return false
        }
    }
}

/// The value of a condition. It is compared with strings as text, and with other scalars by their meaning: 5.00 equals
/// 5.
struct JSONScalar: Sendable, Equatable {
    let text: [UInt8]
    /// Whether it was given in quotes, so that it equals only strings.
    let isString: Bool
    private let number: CanonicalNumber?

    init(text given: String) {
        let isQuoted = given.count >= 2 && given.hasPrefix("\"") && given.hasSuffix("\"")
        let bytes = Array((isQuoted ? given.dropFirst().dropLast() : given[...]).utf8)
        isString = isQuoted
        text = bytes
        number = isQuoted ? nil : CanonicalNumber(bytes.span)
    }

    func isEqual(toNext reader: inout JSONReader) throws(JSONError) -> Bool {
        switch try reader.peek() {
        case .string:
            let string = try reader.readText()
            return reader.matches(string, text.span)
        case .number:
            let digits = try reader.readNumber()
            if isString { return false }
            let span = reader.span(of: digits)
            if span.isEqual(to: text.span) { return true }
            guard let number else { return false }
            return number == CanonicalNumber(span)
        case .boolean:
            let isTrue = try reader.readBool()
            return !isString && text.span.isEqual(to: isTrue ? "true" : "false")
        case .null: return !isString && text.span.isEqual(to: "null")
        case .object, .array: return false
        }
    }
}

/// A JSON number without leading and trailing zeros, which do not change its value.
struct CanonicalNumber: Sendable, Equatable {
    private let isNegative: Bool
    private let digits: [UInt8]
    private let exponent: Int

    /// - Returns: nil if the text is not a JSON number or its exponent exceeds 32 bits.
    init?(_ text: Span<UInt8>) {
        do throws(JSONError) {
            var reader = try JSONReader(text)
            let range = try reader.readNumber()
            try reader.finish()
            guard range == 0..<text.count else { return nil }
        } catch {
            return nil
        }
        var digits: [UInt8] = []
        var exponent = 0
        var isFraction = false
        var index = text[0] == UInt8(ascii: "-") ? 1 : 0
        while index < text.count {
            let byte = text[index]
            if byte == UInt8(ascii: ".") {
                isFraction = true
            } else if byte | 0x20 == UInt8(ascii: "e") {
                let written = [UInt8](copying: text.extracting(index + 1..<text.count))
                guard let power = Int32(String(decoding: written, as: UTF8.self)) else { return nil }
                exponent += Int(power)
                break
            } else {
                digits.append(byte)
                if isFraction { exponent -= 1 }
            }
            index += 1
        }
        let zero = UInt8(ascii: "0")
        while digits.last == zero {
            digits.removeLast()
            exponent += 1
        }
        self.digits = Array(digits.drop { $0 == zero })
        let isZero = self.digits.isEmpty
        self.exponent = isZero ? 0 : exponent
        isNegative = !isZero && text[0] == UInt8(ascii: "-")
    }
}

private struct PathParser {
    private let text: [UInt8]
    private var index = 0

    init(_ text: [UInt8]) {
        self.text = text
    }

    var isAtEnd: Bool { index == text.count }
    var rest: ArraySlice<UInt8> { text[index...] }

    mutating func takeIfNext(_ byte: UInt8) -> Bool {
        guard index < text.count, text[index] == byte else { return false }
        index += 1
        return true
    }

    func problem() -> TailSyntaxError {
        TailSyntaxError(
            "a condition has the form path==value, path!=value, path or !path, such as payload.items[0].sku==\"A-1\"; "
                + "\"\(String(decoding: text, as: UTF8.self))\" has another form, at character \(index + 1)")
    }

    /// Reads a path up to the end of the text, or to `=` or `!`.
    mutating func path() throws(TailSyntaxError) -> [JSONCondition.Step] {
        var steps: [JSONCondition.Step] = []
        _ = takeIfNext(UInt8(ascii: "$"))
        _ = takeIfNext(UInt8(ascii: "."))
        while !isAtEnd, text[index] != UInt8(ascii: "="), text[index] != UInt8(ascii: "!") {
            if takeIfNext(UInt8(ascii: "[")) {
                steps.append(try bracketed())
            } else {
                if !steps.isEmpty, !takeIfNext(UInt8(ascii: ".")) { throw problem() }
                steps.append(try member())
            }
        }
        guard !steps.isEmpty else { throw problem() }
        return steps
    }

    private mutating func member() throws(TailSyntaxError) -> JSONCondition.Step {
        let ends = Array(".[=!".utf8)
        let name = text[index...].prefix { !ends.contains($0) }
        guard !name.isEmpty else { throw problem() }
        index = name.endIndex
        return .member(Array(name))
    }

    private mutating func bracketed() throws(TailSyntaxError) -> JSONCondition.Step {
        if takeIfNext(UInt8(ascii: "\"")) {
            guard let end = text[index...].firstIndex(of: UInt8(ascii: "\"")) else { throw problem() }
            let name = Array(text[index..<end])
            index = end + 1
            guard takeIfNext(UInt8(ascii: "]")) else { throw problem() }
            return .member(name)
        }
        let digits = text[index...].prefix { $0 != UInt8(ascii: "]") }
        guard let number = Int(String(decoding: digits, as: UTF8.self)), number >= 0 else { throw problem() }
        index = digits.endIndex
        guard takeIfNext(UInt8(ascii: "]")) else { throw problem() }
        return .element(number)
    }
}

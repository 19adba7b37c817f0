/// The escapes of RFC 8259 §7.
enum JSONEscape {
    /// Checks the grammar of the escape whose `\` is at `start`. Unpaired surrogates pass, because the grammar allows
    /// them.
    ///
    /// - Returns: the offset after the escape.
    static func end(in bytes: Span<UInt8>, at start: Int) throws(JSONError) -> Int {
        guard start + 1 < bytes.count else { throw JSONError(.unexpectedEnd, at: bytes.count, expected: .escape) }
        switch bytes[start + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            return start + 2
        case UInt8(ascii: "u"):
            _ = try codeUnit(in: bytes, at: start)
            return start + 6
        default: throw JSONError(.invalidEscape, at: start, expected: .escape)
        }
    }

    /// Decodes the text between quotes at `range`. ``end(in:at:)`` must have checked its grammar.
    ///
    /// - Throws: ``JSONError/Code/loneSurrogate``.
    static func decode(_ bytes: Span<UInt8>, in range: Range<Int>) throws(JSONError) -> [UInt8] {
        var decoded: [UInt8] = []
        decoded.reserveCapacity(range.count)
        var index = range.lowerBound
        while index < range.upperBound {
            let byte = bytes[index]
            guard byte == UInt8(ascii: "\\") else {
                decoded.append(byte)
                index += 1
                continue
            }
            let letter = bytes[index + 1]
            if letter == UInt8(ascii: "u") {
                index = try decodeUnicode(bytes, at: index, into: &decoded)
            } else {
                decoded.append(simple(letter))
                index += 2
            }
        }
        return decoded
    }

    private static func simple(_ letter: UInt8) -> UInt8 {
        switch letter {
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0C
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "t"): 0x09
        default: letter
        }
    }

    /// Appends the character of the one or two `\u` escapes at `start`, and returns the offset after them.
    private static func decodeUnicode(
        _ bytes: Span<UInt8>, at start: Int, into decoded: inout [UInt8]
    ) throws(JSONError) -> Int {
        let first = try codeUnit(in: bytes, at: start)
        if let scalar = Unicode.Scalar(first) {
            decoded.append(contentsOf: String(scalar).utf8)
            return start + 6
        }
        let lone = JSONError(.loneSurrogate, at: start, expected: .string)
        let next = start + 6
        guard first < 0xDC00, next + 1 < bytes.count,
            bytes[next] == UInt8(ascii: "\\"), bytes[next + 1] == UInt8(ascii: "u")
        else { throw lone }
        let second = try codeUnit(in: bytes, at: next)
        guard (0xDC00...0xDFFF).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (UInt32(first) - 0xD800) << 10 + (UInt32(second) - 0xDC00))
        else { throw lone }
        decoded.append(contentsOf: String(scalar).utf8)
        return next + 6
    }

    /// The value of the four hexadecimal digits of the `\uXXXX` at `start`.
    private static func codeUnit(in bytes: Span<UInt8>, at start: Int) throws(JSONError) -> UInt16 {
        guard start + 6 <= bytes.count else { throw JSONError(.unexpectedEnd, at: bytes.count, expected: .escape) }
        var unit: UInt16 = 0
        for index in start + 2..<start + 6 {
            let digit: UInt8
            switch bytes[index] {
            case let byte where byte &- UInt8(ascii: "0") < 10: digit = byte - UInt8(ascii: "0")
            case let byte where (byte | 0x20) &- UInt8(ascii: "a") < 6: digit = (byte | 0x20) - UInt8(ascii: "a") + 10
            default: throw JSONError(.invalidEscape, at: start, expected: .escape)
            }
            unit = unit << 4 | UInt16(digit)
        }
        return unit
    }
}

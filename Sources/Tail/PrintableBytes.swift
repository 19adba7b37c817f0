internal import StreamCore

/// Converts bytes of a record to text that cannot control a terminal.
public enum PrintableBytes {
    /// Appends UTF-8 text unchanged, but writes these as `\xNN`: bytes that are not UTF-8, control characters, line
    /// ends, and characters that change the direction of text.
    public static func append(_ bytes: Span<UInt8>, to out: inout [UInt8]) {
        var start = 0
        var index = 0
        while index < bytes.count {
            let length = lengthOfPrintable(bytes, at: index)
            if length > 0 {
                index += length
                continue
            }
            out.append(bytes.extracting(start..<index))
            appendEscape(of: bytes[index], to: &out)
            index += 1
            start = index
        }
        out.append(bytes.extracting(start..<bytes.count))
    }

    /// The printable text of the bytes.
    public static func text(_ bytes: [UInt8]) -> String {
        var out: [UInt8] = []
        append(bytes.span, to: &out)
        return String(decoding: out, as: UTF8.self)
    }

    /// Whether the bytes are UTF-8, with any characters.
    static func isText(_ bytes: Span<UInt8>) -> Bool {
        var index = 0
        while index < bytes.count {
            if bytes[index] < 0x80 {
                index += 1
                continue
            }
            guard let (_, length) = scalar(bytes, at: index) else { return false }
            index += length
        }
        return true
    }

    static func appendHexadecimal(_ bytes: Span<UInt8>, to out: inout [UInt8]) {
        for index in bytes.indices {
            out.append(digit(bytes[index] >> 4, upperCase: false))
            out.append(digit(bytes[index] & 0xF, upperCase: false))
        }
    }

    /// Appends base64 (RFC 4648, section 4).
    static func appendBase64(_ bytes: Span<UInt8>, to out: inout [UInt8]) {
        func letter(_ value: UInt32) -> UInt8 {
            switch UInt8(value & 0x3F) {
            case let value where value < 26: UInt8(ascii: "A") + value
            case let value where value < 52: UInt8(ascii: "a") + value - 26
            case let value where value < 62: UInt8(ascii: "0") + value - 52
            case 62: UInt8(ascii: "+")
            default: UInt8(ascii: "/")
            }
        }
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let count = min(3, bytes.count - start)
            var group: UInt32 = 0
            for index in 0..<3 { group = group << 8 | (index < count ? UInt32(bytes[start + index]) : 0) }
            out.append(letter(group >> 18))
            out.append(letter(group >> 12))
            out.append(count > 1 ? letter(group >> 6) : UInt8(ascii: "="))
            out.append(count > 2 ? letter(group) : UInt8(ascii: "="))
        }
    }

    private static func appendEscape(of byte: UInt8, to out: inout [UInt8]) {
        out.append(UInt8(ascii: "\\"))
        out.append(UInt8(ascii: "x"))
        out.append(digit(byte >> 4, upperCase: true))
        out.append(digit(byte & 0xF, upperCase: true))
    }

    private static func digit(_ value: UInt8, upperCase: Bool) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: upperCase ? "A" : "a") + value - 10
    }

    /// The length of the printable character at `index` in bytes; 0 if there is none.
    @inline(__always)
    private static func lengthOfPrintable(_ bytes: Span<UInt8>, at index: Int) -> Int {
        let lead = bytes[index]
        if lead < 0x80 { return lead >= 0x20 && lead != 0x7F ? 1 : 0 }
        guard let (scalar, length) = scalar(bytes, at: index), !PrintableText.isUnsafe(scalar) else { return 0 }
        switch scalar.properties.generalCategory {
        case .unassigned, .privateUse: return 0
        default: return length
        }
    }

    /// The well-formed character of two to four bytes at `index` (RFC 3629); nil if there is none.
    private static func scalar(_ bytes: Span<UInt8>, at index: Int) -> (scalar: Unicode.Scalar, length: Int)? {
        let lead = bytes[index]
        let length =
            switch lead {
            case 0xC2...0xDF: 2
            case 0xE0...0xEF: 3
            case 0xF0...0xF4: 4
            default: 0
            }
        guard length > 0, index + length <= bytes.count else { return nil }
        var value = UInt32(lead) & (0xFF >> UInt32(length + 1))
        for next in index + 1..<index + length {
            guard bytes[next] & 0xC0 == 0x80 else { return nil }
            value = value << 6 | UInt32(bytes[next] & 0x3F)
        }
        // Overlong forms are rejected here. `Unicode.Scalar` rejects surrogates and values above U+10FFFF.
        let least: UInt32 = length == 2 ? 0x80 : length == 3 ? 0x800 : 0x10000
        guard value >= least, let scalar = Unicode.Scalar(value) else { return nil }
        return (scalar, length)
    }
}

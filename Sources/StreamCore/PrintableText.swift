/// Text from records, clients and servers on a line of a log or on a terminal. It must stay on one line and must not
/// control the terminal.
public enum PrintableText {
    /// Whether a character has an effect besides its display: control characters of both sets (C0, C1), line and
    /// paragraph separators, and characters that change the direction of text.
    public static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x20...0x7E: return false
        case ..<0xA0: return true
        default:
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator: return true
            default: return false
            }
        }
    }

    /// A character in the escaped form of JSON strings (RFC 8259, section 7): `\uXXXX`, or two of them.
    public static func escapeSequence(_ scalar: Unicode.Scalar) -> String {
        UTF16.encode(scalar).map { units in
            units.map { unit in
                let digits = String(unit, radix: 16)
                return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }.joined()
        } ?? ""
    }

    /// Returns JSON without unsafe characters. They occur only in strings, where they may be escaped. Line ends between
    /// values are kept.
    public static func escaped(json: String) -> String { escapedLines(json) }

    /// Returns text of several lines with its unsafe characters escaped, except line ends.
    public static func escapedLines(_ text: String) -> String {
        func isKept(_ scalar: Unicode.Scalar) -> Bool { scalar == "\n" || !isUnsafe(scalar) }
        if text.unicodeScalars.allSatisfy(isKept) { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            if isKept(scalar) { result.unicodeScalars.append(scalar) } else { result += escapeSequence(scalar) }
        }
        return result
    }
}

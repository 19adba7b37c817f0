/// Text that comes from records, clients and servers, on a line of a log or on a terminal: it must stay on its line,
/// and must not do anything to what shows it.
public enum PrintableText {
    /// Whether a character does anything else than stand where it is: control characters of both sets (C0, C1), line
    /// and paragraph separators, and marks that turn the direction of text around.
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

    /// A character as JSON's strings have it escaped (RFC 8259, section 7): `\\uXXXX`, or two of them.
    public static func escapeSequence(_ scalar: Unicode.Scalar) -> String {
        UTF16.encode(scalar).map { units in
            units.map { unit in
                let digits = String(unit, radix: 16)
                return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }.joined()
        } ?? ""
    }

    /// JSON without a character that is unsafe: all of them stand in its strings, where they may be escaped. Line ends
    /// between its values are left.
    public static func escaped(json: String) -> String { escapedLines(json) }

    /// Text of several lines, its unsafe characters but for line ends escaped.
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

/// Escapes bytes for JSON strings (RFC 8259 §7). It is for code that writes into its own memory. Other code should use
/// ``JSONWriter``.
public enum JSONStringEscape {
    /// The first offset in `start..<utf8.count` whose byte must be escaped: `"`, `\` or a control character.
    /// `utf8.count` if there is none.
    public static func firstSpecial(in utf8: Span<UInt8>, from start: Int) -> Int {
        ByteScan.firstSpecial(in: utf8, from: start)
    }

    /// The escape sequence for a byte that must be escaped. It has at most six bytes.
    public static func sequence(for byte: UInt8) -> StaticString {
        switch byte {
        case UInt8(ascii: "\""): "\\\""
        case UInt8(ascii: "\\"): "\\\\"
        default: controls[Int(byte)]
        }
    }

    private static let controls: [StaticString] = [
        "\\u0000", "\\u0001", "\\u0002", "\\u0003", "\\u0004", "\\u0005", "\\u0006", "\\u0007", "\\u0008", "\\t",
        "\\n", "\\u000b", "\\u000c", "\\r", "\\u000e", "\\u000f", "\\u0010", "\\u0011", "\\u0012", "\\u0013",
        "\\u0014", "\\u0015", "\\u0016", "\\u0017", "\\u0018", "\\u0019", "\\u001a", "\\u001b", "\\u001c", "\\u001d",
        "\\u001e", "\\u001f",
    ]
}

/// The rules for identifiers that clients choose, such as those of orders and customers.
public enum Identifier {
    /// Maximum length in Unicode scalars, which JSON Schema counts.
    public static let maxLength = 255

    /// The problem of the identifier; nil if it is valid.
    public static func problem(of text: String) -> String? {
        if text.isEmpty { return "must not be empty" }
        // A text with more bytes than this number of scalars can have is not counted.
        if text.utf8.count > 4 * maxLength || text.unicodeScalars.count > maxLength {
            return "must not have more than \(maxLength) characters"
        }
        if text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) { return "must not have control characters" }
        return nil
    }
}

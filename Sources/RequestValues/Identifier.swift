/// What orders and customers are named by: text that others chose.
public enum Identifier {
    /// Unicode scalars, as JSON Schema counts them.
    public static let maxLength = 255

    /// What is wrong with it; nil when nothing is.
    public static func problem(of text: String) -> String? {
        if text.isEmpty { return "must not be empty" }
        // What has more bytes than so many scalars can have is not counted.
        if text.utf8.count > 4 * maxLength || text.unicodeScalars.count > maxLength {
            return "must not have more than \(maxLength) characters"
        }
        if text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) { return "must not have control characters" }
        return nil
    }
}

internal import StreamCore

/// Converts bytes of records to text that PostgreSQL accepts.
public enum LetterText {
    /// Converts bytes to text: invalid UTF-8 is replaced, and NUL, which PostgreSQL's `text` cannot store, is removed.
    /// The text ends at a whole character within `limit` bytes.
    public static func clean(_ bytes: [UInt8], limit: Int) -> String {
        // Bytes after the limit need not be decoded. A character that is cut here is removed below.
        var text = String(decoding: bytes.prefix(limit + 4), as: UTF8.self)
        if text.utf8.contains(0) { text = String(decoding: text.utf8.filter { $0 != 0 }, as: UTF8.self) }
        return cut(text, limit: limit)
    }

    /// The text up to the last whole character within `limit` bytes.
    public static func cut(_ text: String, limit: Int) -> String {
        guard text.utf8.count > limit else { return text }
        var end = text.utf8.index(text.utf8.startIndex, offsetBy: limit)
        while end.samePosition(in: text.unicodeScalars) == nil { end = text.utf8.index(before: end) }
        return String(text.unicodeScalars[..<end])
    }

    /// Converts the name of an error in another program to an error class of lower-case letters, digits and `_`.
    ///
    /// `java.lang.NullPointerException` becomes `null_pointer_exception`.
    ///
    /// - Returns: `unknown` if no character remains.
    public static func errorClass(_ name: String) -> String {
        let qualifiers: Set<UInt8> = [UInt8(ascii: "."), UInt8(ascii: "$"), UInt8(ascii: "/")]
        let last = name.utf8.split { qualifiers.contains($0) }.last
        let bytes = Array(last ?? name.utf8[...])
        var result: [UInt8] = []
        for (index, byte) in bytes.enumerated() {
            if result.count >= 100 { break }
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                result.append(byte)
            case UInt8(ascii: "A")...UInt8(ascii: "Z"):
                // A word begins at a capital after a small letter, and at the last capital before one.
                let follows = index > 0 && isSmall(bytes[index - 1])
                let leads =
                    index > 0 && isCapital(bytes[index - 1])
                    && index + 1 < bytes.count && isSmall(bytes[index + 1])
                if follows || leads, result.last != UInt8(ascii: "_") { result.append(UInt8(ascii: "_")) }
                result.append(byte | 0x20)
            default:
                if !result.isEmpty, result.last != UInt8(ascii: "_") { result.append(UInt8(ascii: "_")) }
            }
        }
        while result.last == UInt8(ascii: "_") { result.removeLast() }
        return result.isEmpty ? unknownClass : String(decoding: result, as: UTF8.self)
    }

    /// The class of a letter without an error.
    public static let unknownClass = "unknown"
    /// The class of events that wait behind another.
    public static let blockedClass = "blocked"

    private static func isSmall(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private static func isCapital(_ byte: UInt8) -> Bool { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) }

    /// Whether Kafka allows this topic name (Apache Kafka, `org.apache.kafka.common.internals.Topic`).
    public static func isTopicName(_ name: String) -> Bool {
        guard (1...249).contains(name.utf8.count), name != ".", name != ".." else { return false }
        return name.utf8.allSatisfy { byte in
            isSmall(byte) || isCapital(byte) || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_")
                || byte == UInt8(ascii: "-")
        }
    }
}

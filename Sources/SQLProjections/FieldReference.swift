/// The place of an envelope's field in a record.
enum FieldReference: Hashable, Sendable {
    /// The path to a value in the record's JSON (RFC 6901 without array indexes); empty for the whole value.
    case json([String])
    case header(String)
    case key
    case topic
    /// The record's timestamp.
    case timestamp
    /// Topic, partition and offset together.
    case position
    /// The same text for every record.
    case literal(String)

    /// - Parameter text: `/a/b`, `value`, `header:NAME`, `key`, `topic`, `timestamp`, `position`, `=TEXT`.
    /// - Returns: nil if the text has another form.
    init?(_ text: String) {
        switch text {
        case "key": self = .key
        case "topic": self = .topic
        case "timestamp": self = .timestamp
        case "position": self = .position
        case "value": self = .json([])
        default:
            if text.hasPrefix("/") {
                self = .json(
                    text.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map {
                        String($0.replacing("~1", with: "/").replacing("~0", with: "~"))
                    })
            } else if text.hasPrefix("header:"), text.utf8.count > 7 {
                self = .header(String(text.dropFirst(7)))
            } else if text.hasPrefix("=") {
                self = .literal(String(text.dropFirst()))
            } else {
                return nil
            }
        }
    }

    /// Reads several references, such as `/subject | key`. The first one that a record contains is used.
    ///
    /// - Returns: nil if any of them is invalid.
    static func list(_ text: String) -> [FieldReference]? {
        var found: [FieldReference] = []
        for part in text.split(separator: "|", omittingEmptySubsequences: false) {
            guard let reference = FieldReference(part.trimmingSpaces) else { return nil }
            found.append(reference)
        }
        return found
    }

    /// The forms of a reference, for messages.
    static let forms = "/MEMBER/MEMBER, value, header:NAME, key, topic, timestamp, position or =TEXT"
}

extension Substring {
    fileprivate var trimmingSpaces: String {
        var text = self
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}

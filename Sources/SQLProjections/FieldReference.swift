/// Where a field of the envelope stands in a record.
enum FieldReference: Hashable, Sendable {
    /// The members that lead to a value of the record's JSON (RFC 6901 without array indexes); none for the whole
    /// value.
    case json([String])
    case header(String)
    case key
    case topic
    /// The record's own timestamp.
    case timestamp
    /// Made of topic, partition and offset.
    case position
    /// The same for every record.
    case literal(String)

    /// - Parameter text: `/a/b`, `value`, `header:NAME`, `key`, `topic`, `timestamp`, `position`, `=TEXT`.
    /// - Returns: nil when it is none of these.
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

    /// Several, of which the first counts that a record has: `/subject | key`.
    ///
    /// - Returns: nil when one of them is none.
    static func list(_ text: String) -> [FieldReference]? {
        var found: [FieldReference] = []
        for part in text.split(separator: "|", omittingEmptySubsequences: false) {
            guard let reference = FieldReference(part.trimmingSpaces) else { return nil }
            found.append(reference)
        }
        return found
    }

    /// What a setting's text shows of the forms.
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

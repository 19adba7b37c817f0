/// The name of a topic, or a pattern in which `*` stands for any characters and `?` for one character.
public struct TopicPattern: Sendable, Hashable {
    public let text: String

    public init(_ text: String) {
        self.text = text
    }

    /// Whether it can match several names.
    public var isPattern: Bool { text.contains { $0 == "*" || $0 == "?" } }

    /// Whether the name matches. Names that begin with `__` belong to the brokers and match only a pattern that begins
    /// so too.
    func matches(_ name: String) -> Bool {
        guard isPattern else { return name == text }
        if name.hasPrefix("__"), !text.hasPrefix("__") { return false }
        return Self.matches(Array(name.utf8), Array(text.utf8))
    }

    /// Matches a pattern. On a mismatch it goes back to the last `*` and lets that stand for one more byte.
    private static func matches(_ name: [UInt8], _ pattern: [UInt8]) -> Bool {
        var (at, place) = (0, 0)
        var retry: (at: Int, place: Int)?
        while at < name.count {
            if place < pattern.count, pattern[place] == UInt8(ascii: "*") {
                retry = (at, place)
                place += 1
            } else if place < pattern.count, pattern[place] == UInt8(ascii: "?") || pattern[place] == name[at] {
                at += 1
                place += 1
            } else if let last = retry {
                retry = (last.at + 1, last.place)
                (at, place) = (last.at + 1, last.place + 1)
            } else {
                return false
            }
        }
        return pattern[place...].allSatisfy { $0 == UInt8(ascii: "*") }
    }
}

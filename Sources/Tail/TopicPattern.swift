/// A topic's name, or a pattern of names in which `*` stands for any characters and `?` for one.
public struct TopicPattern: Sendable, Hashable {
    public let text: String

    public init(_ text: String) {
        self.text = text
    }

    /// Whether it can stand for several names.
    public var isPattern: Bool { text.contains { $0 == "*" || $0 == "?" } }

    /// Names that begin with `__` are the brokers' own: only a pattern that begins so, too, has them.
    func matches(_ name: String) -> Bool {
        guard isPattern else { return name == text }
        if name.hasPrefix("__"), !text.hasPrefix("__") { return false }
        return Self.matches(Array(name.utf8), Array(text.utf8))
    }

    /// Goes back to the last `*` when something does not fit, and lets it stand for one character more.
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

/// A strong entity tag (RFC 9110, section 8.8.3).
public struct EntityTag: Hashable, Sendable {
    /// The tag with its quotes.
    public let text: String

    /// The tag of a representation with a version.
    ///
    /// The version alone is not sufficient. An order's version counts only the order's own events, but payments and
    /// shipments change its representation too. Therefore the tag also contains a hash of the bytes.
    public init(version: Int64, of body: Span<UInt8>) {
        text = "\"v\(version)-\(Self.hash(body))\""
    }

    /// The tag of a representation without a version.
    public init(of body: Span<UInt8>) {
        text = "\"\(Self.hash(body))\""
    }

    private static func hash(_ body: Span<UInt8>) -> String {
        var hash = StableHash()
        hash.combine(body)
        return String(hash.value, radix: 16)
    }

    /// Whether the value of an `If-None-Match` field contains this tag, by weak comparison (RFC 9110, 13.1.2).
    public func isNamed(in field: String) -> Bool {
        var rest = Substring(field)
        while true {
            rest = rest.drop { $0 == " " || $0 == "\t" || $0 == "," }
            if rest.isEmpty { return false }
            if rest.first == "*" { return true }
            if rest.hasPrefix("W/") { rest = rest.dropFirst(2) }
            guard rest.first == "\"", let end = rest.dropFirst().firstIndex(of: "\"") else { return false }
            if rest[...end] == text[...] { return true }
            rest = rest[rest.index(after: end)...]
        }
    }
}

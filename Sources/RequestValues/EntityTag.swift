/// A strong entity tag (RFC 9110, section 8.8.3).
public struct EntityTag: Hashable, Sendable {
    /// With its quotes.
    public let text: String

    /// The tag of an order's representation.
    ///
    /// The version alone would not do: it counts the order's own events, and a payment or a shipment changes the
    /// representation too. So the bytes have their part in it.
    public init(version: Int64, of body: Span<UInt8>) {
        text = "\"v\(version)-\(Self.hash(body))\""
    }

    /// The tag of bytes that have no version.
    public init(of body: Span<UInt8>) {
        text = "\"\(Self.hash(body))\""
    }

    private static func hash(_ body: Span<UInt8>) -> String {
        var hash = StableHash()
        hash.combine(body)
        return String(hash.value, radix: 16)
    }

    /// Whether the value of an `If-None-Match` field names this tag: weakly, as the field asks (RFC 9110, 13.1.2).
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

/// The preferences of a `Prefer` field (RFC 7240). Unknown preferences are ignored.
public struct Preferences: Hashable, Sendable {
    /// `wait`: the time that the client is willing to wait, in seconds.
    public var waitSeconds: Int?

    public init(field: String?) {
        for preference in field?.split(separator: ",") ?? [] {
            // Parameters follow a semicolon. `wait` has none.
            let token = preference.prefix { $0 != ";" }
            let parts = token.split(separator: "=", maxSplits: 1).map { Self.trimmed($0) }
            guard waitSeconds == nil, parts.count == 2, parts[0].lowercased() == "wait" else { continue }
            let value = parts[1].first == "\"" && parts[1].last == "\"" ? parts[1].dropFirst().dropLast() : parts[1]
            guard !value.isEmpty, value.utf8.allSatisfy({ (48...57).contains($0) }) else { continue }
            // A number that is too large means a long time.
            waitSeconds = Int(value) ?? .max
        }
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text.drop { $0 == " " || $0 == "\t" }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return text
    }
}

/// A request's target (RFC 9112, section 3.2), and the decoding of its parts.
struct RequestTarget {
    /// The reason why a target is invalid, for the client.
    struct Invalid: Error {
        let detail: String
    }

    /// The authority of a target in absolute form, without user information.
    private(set) var authority: String?
    /// The parts of the path. Each is decoded separately.
    private(set) var parts: [String] = []
    private(set) var query: [(name: String, value: String)] = []

    init() {}

    /// - Parameter text: in origin form (`/path?query`) or absolute form (`http://host/path?query`).
    init(_ text: String) throws(Invalid) {
        // Other characters must be percent-encoded. Invalid UTF-8 was replaced before.
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
            throw Invalid(detail: "the target has characters that must be percent-encoded")
        }
        let origin: Substring
        (authority, origin) = try Self.split(text)
        let path = origin.utf8.prefix { $0 != UInt8(ascii: "?") }
        for part in path.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
            parts.append(try Self.decode(Substring(part), plusIsSpace: false))
        }
        if path.endIndex < origin.endIndex { query = try Self.parameters(origin[path.endIndex...].dropFirst()) }
    }

    /// Returns the authority, and the rest without a fragment. Clients should not send a fragment.
    private static func split(_ text: String) throws(Invalid) -> (authority: String?, origin: Substring) {
        var target = Substring(text)
        var name: String?
        if target.utf8.first != UInt8(ascii: "/") {
            let scheme = target.prefix(8).lowercased()
            guard scheme.hasPrefix("http://") || scheme.hasPrefix("https://") else {
                throw Invalid(detail: "the target is not a path")
            }
            let authority = target.utf8.dropFirst(scheme.hasPrefix("https://") ? 8 : 7)
            guard let start = authority.firstIndex(where: { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") }),
                authority[start] == UInt8(ascii: "/")
            else { throw Invalid(detail: "the target has no path") }
            let host = target[authority.startIndex..<start]
            name = String(host.lastIndex(of: "@").map { host[host.index(after: $0)...] } ?? host)
            target = target[start...]
        }
        if let fragment = target.utf8.firstIndex(of: UInt8(ascii: "#")) { target = target[..<fragment] }
        return (name, target)
    }

    private static func parameters(_ text: Substring) throws(Invalid) -> [(name: String, value: String)] {
        var parameters: [(name: String, value: String)] = []
        for pair in text.utf8.split(separator: UInt8(ascii: "&")) {
            let equals = pair.firstIndex(of: UInt8(ascii: "=")) ?? pair.endIndex
            let name = try decode(Substring(pair[..<equals]), plusIsSpace: true)
            let value = try decode(Substring(pair[equals...].dropFirst()), plusIsSpace: true)
            parameters.append((name, value))
        }
        return parameters
    }

    private static func decode(_ text: Substring, plusIsSpace: Bool) throws(Invalid) -> String {
        let isPlain = text.utf8.allSatisfy { $0 != UInt8(ascii: "%") && $0 != UInt8(ascii: "+") }
        if isPlain { return String(text) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        var rest = text.utf8
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%") {
                guard let high = rest.popFirst().flatMap(hexDigit), let low = rest.popFirst().flatMap(hexDigit) else {
                    throw Invalid(detail: "the target has a '%' without two hexadecimal digits")
                }
                bytes.append(high << 4 | low)
            } else if byte == UInt8(ascii: "+"), plusIsSpace {
                bytes.append(UInt8(ascii: " "))
            } else {
                bytes.append(byte)
            }
        }
        guard let text = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
            throw Invalid(detail: "the decoded target is not UTF-8 text")
        }
        return text
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

/// The path of a query's own, such as `/v1/customers/{customer}/history`. A part in braces gives the value of the
/// query's parameter of this name.
public struct QueryPath: Sendable, Hashable {
    public enum Part: Sendable, Hashable {
        case literal(String)
        case parameter(String)
    }

    /// The text as it stands in the file.
    public let template: String
    let parts: [Part]

    private static let prefix = "/v1/"
    private static let longest = 200

    /// What is wrong with a text that is no path, and where.
    struct Invalid: Error {
        let text: String
        /// Bytes from the start of the text.
        let offset: Int
    }

    /// - Parameter template: a path under `/v1/` whose parts are literal or a name in braces.
    init(_ template: String) throws(Invalid) {
        guard template.hasPrefix(Self.prefix), template.utf8.count <= Self.longest else {
            throw Invalid(
                text: """
                    expected a path under \(Self.prefix), such as /v1/customers/{customer}/history, of at most \
                    \(Self.longest) bytes
                    """, offset: 0)
        }
        var parts: [Part] = []
        var offset = 1
        for text in template.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
            guard let part = Self.part(text) else {
                throw Invalid(
                    text:
                        "a part of a path must be {PARAMETER}, or consist of letters, digits and the characters . _ -",
                    offset: offset)
            }
            if case .parameter(let name) = part, parts.contains(part) {
                throw Invalid(text: "{\(name)} occurs twice in the path", offset: offset)
            }
            parts.append(part)
            offset += text.utf8.count + 1
        }
        self.template = template
        self.parts = parts
    }

    private static func part(_ text: Substring) -> Part? {
        if text.hasPrefix("{"), text.hasSuffix("}"), text.utf8.count > 2 {
            return .parameter(String(text.dropFirst().dropLast()))
        }
        // Clients remove these from a path (RFC 3986, section 5.2.4).
        guard !text.isEmpty, text != ".", text != ".." else { return nil }
        let isLiteral = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                true
            default: false
            }
        }
        return isLiteral ? .literal(String(text)) : nil
    }

    /// The names of the parameters that the path gives, in their order.
    public var parameters: [String] {
        parts.compactMap { part in if case .parameter(let name) = part { name } else { nil } }
    }

    /// A path of a request.
    ///
    /// - Parameter value: the text in the place of a parameter, encoded.
    public func text(_ value: (_ parameter: String) -> String) -> String {
        parts.map { part in
            switch part {
            case .literal(let text): "/" + text
            case .parameter(let name): "/" + value(name)
            }
        }.joined()
    }

    /// How two paths share requests.
    enum Overlap {
        /// No request matches both.
        case none
        /// The same requests match both.
        case same
        /// Some requests match both. They belong to this path, because it is literal where the other has a parameter.
        case first
        /// They belong to the other path.
        case second
    }

    /// Compares the paths by the rule of the HTTP server: literal parts come before parameters, from left to right.
    func overlap(with other: QueryPath) -> Overlap {
        guard parts.count == other.parts.count else { return .none }
        var overlap = Overlap.same
        for pair in zip(parts, other.parts) {
            switch pair {
            case (.literal(let own), .literal(let others)): if own != others { return .none }
            case (.literal, .parameter): if overlap == .same { overlap = .first }
            case (.parameter, .literal): if overlap == .same { overlap = .second }
            case (.parameter, .parameter): continue
            }
        }
        return overlap
    }
}

internal import RequestValues
internal import StreamCore

/// A parameter of a query, from the query's header.
public struct QueryParameter: Sendable, Hashable {
    /// The type of the values.
    public enum Kind: Sendable, Hashable {
        case text, integer, decimal, boolean, date, timestamp, uuid
        /// One of a list of words.
        case choice([String])
    }

    public let name: String
    public let kind: Kind
    /// Whether it may occur several times. SQL receives an array.
    public let isList: Bool
    public let isRequired: Bool
    /// The value if the request does not contain the parameter; nil for NULL.
    public let defaultValue: QueryValue?
    public let bounds: Bounds
    /// The description for clients.
    public let description: String

    /// The limits of the values.
    public struct Bounds: Sendable, Hashable {
        /// Maximum number of characters of a text.
        public var length = 255
        /// Maximum number of values of a list.
        public var count = 20
        /// The minimum number in canonical digits; nil for none.
        public var min: String?
        /// The maximum number in canonical digits; nil for none.
        public var max: String?

        init() {}
    }

    /// The upper limit of ``Bounds/length``.
    static let longestText = 10_000

    init(
        _ name: String, _ kind: Kind, isList: Bool, isRequired: Bool, default defaultValue: QueryValue?,
        _ bounds: Bounds, _ description: String
    ) {
        self.name = name
        self.kind = kind
        self.isList = isList
        self.isRequired = isRequired
        self.defaultValue = defaultValue
        self.bounds = bounds
        self.description = description
    }

    /// The reason why a text is not a valid value, as the text after the parameter's name.
    public struct Refusal: Error, Sendable, Hashable {
        public let detail: String
    }

    /// Reads a client's value.
    public func value(of text: String) throws(Refusal) -> QueryValue {
        try Self.value(of: text, kind, bounds)
    }

    static func value(of text: String, _ kind: Kind, _ bounds: Bounds) throws(Refusal) -> QueryValue {
        switch kind {
        case .text: return .text(try checked(text, bounds))
        case .integer:
            let sign = text.hasPrefix("-") ? 1 : 0
            let isDigits = text.utf8.count > sign && text.utf8.dropFirst(sign).allSatisfy { (48...57).contains($0) }
            guard isDigits, let number = Int64(text) else { throw Refusal(detail: "must be an integer") }
            return .integer(try within(number, bounds) { Int64($0) })
        case .decimal:
            guard let number = SignedDecimal(text) else {
                throw Refusal(
                    detail:
                        "must be a decimal such as 19.90, with at most 18 digits before and 10 digits after the point")
            }
            return .decimal(try within(number, bounds) { SignedDecimal($0) }.digits)
        case .boolean:
            guard text == "true" || text == "false" else { throw Refusal(detail: "must be true or false") }
            return .boolean(text == "true")
        case .date:
            guard text.utf8.count == 10, let instant = Timestamp(text + "T00:00:00Z") else {
                throw Refusal(detail: "must be a date such as 2026-05-04")
            }
            return .date(text, instant.day)
        case .timestamp:
            guard let instant = Timestamp(text) ?? (text.utf8.count == 10 ? Timestamp(text + "T00:00:00Z") : nil) else {
                throw Refusal(
                    detail: "must be a time such as 2026-05-04T10:00:00Z or a date such as 2026-05-04; write + as %2B")
            }
            return .timestamp(instant)
        case .uuid:
            guard let id = EventID(text) else { throw Refusal(detail: "must be a UUID") }
            return .uuid(id)
        case .choice(let words):
            guard words.contains(text) else {
                throw Refusal(detail: "must be one of \(words.joined(separator: ", "))")
            }
            return .text(text)
        }
    }

    private static func checked(_ text: String, _ bounds: Bounds) throws(Refusal) -> String {
        // A text with more bytes than this number of characters can have is not counted.
        if text.utf8.count > 4 * bounds.length || text.unicodeScalars.count > bounds.length {
            throw Refusal(detail: "must not have more than \(bounds.length) characters")
        }
        if text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) {
            throw Refusal(detail: "must not have control characters")
        }
        return text
    }

    private static func within<Number: Comparable>(
        _ number: Number, _ bounds: Bounds, _ parse: (String) -> Number?
    ) throws(Refusal) -> Number {
        if let text = bounds.min, let least = parse(text), number < least {
            throw Refusal(detail: "must not be less than \(text)")
        }
        if let text = bounds.max, let greatest = parse(text), number > greatest {
            throw Refusal(detail: "must not be greater than \(text)")
        }
        return number
    }
}

/// A decimal in canonical digits, with a sign if it is negative.
struct SignedDecimal: Comparable {
    let isNegative: Bool
    let magnitude: String

    /// - Returns: nil if the text is not a plain decimal: digits, and optionally a point and digits.
    init?(_ text: String) {
        let hasSign = text.hasPrefix("-")
        guard let magnitude = PlainDecimal.canonical(hasSign ? String(text.dropFirst()) : text) else { return nil }
        self.magnitude = magnitude
        isNegative = hasSign && magnitude != "0"
    }

    var digits: String { (isNegative ? "-" : "") + magnitude }

    static func < (left: SignedDecimal, right: SignedDecimal) -> Bool {
        switch (left.isNegative, right.isNegative) {
        case (true, false): true
        case (false, true): false
        case (false, false): PlainDecimal.isGreater(right.magnitude, than: left.magnitude)
        case (true, true): PlainDecimal.isGreater(left.magnitude, than: right.magnitude)
        }
    }
}

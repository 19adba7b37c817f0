internal import RequestValues
internal import StreamCore

/// A parameter of a query, as the query's header declares it.
public struct QueryParameter: Sendable, Hashable {
    /// What its values are.
    public enum Kind: Sendable, Hashable {
        case text, integer, decimal, boolean, date, timestamp, uuid
        /// One of a few words.
        case choice([String])
    }

    public let name: String
    public let kind: Kind
    /// Whether it may be given several times; SQL sees an array.
    public let isList: Bool
    public let isRequired: Bool
    /// What counts when it is not given; nil for NULL.
    public let defaultValue: QueryValue?
    public let bounds: Bounds
    /// For whoever asks.
    public let description: String

    /// What values must be within.
    public struct Bounds: Sendable, Hashable {
        /// Characters of a text, at most.
        public var length = 255
        /// Values of a list, at most.
        public var count = 20
        /// The least number, in its canonical digits; nil for none.
        public var min: String?
        /// The greatest.
        public var max: String?

        init() {}
    }

    /// Characters that no parameter may have more of.
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

    /// Why a text is no value: what follows the parameter's name in a sentence.
    public struct Refusal: Error, Sendable, Hashable {
        public let detail: String
    }

    /// Reads a value as a client wrote it.
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
                    detail: "must be a decimal such as 19.90, of 18 digits before and 10 after the point at most")
            }
            return .decimal(try within(number, bounds) { SignedDecimal($0) }.digits)
        case .boolean:
            guard text == "true" || text == "false" else { throw Refusal(detail: "must be true or false") }
            return .boolean(text == "true")
        case .date:
            guard text.utf8.count == 10, let instant = Timestamp(text + "T00:00:00Z") else {
                throw Refusal(detail: "must be a date as 2026-05-04")
            }
            return .date(text, instant.day)
        case .timestamp:
            guard let instant = Timestamp(text) ?? (text.utf8.count == 10 ? Timestamp(text + "T00:00:00Z") : nil) else {
                throw Refusal(
                    detail: "must be a time as 2026-05-04T10:00:00Z or a date as 2026-05-04; write + as %2B")
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
        // What has more bytes than so many characters can have is not counted.
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

/// A decimal in its canonical digits, with a sign where it is negative.
struct SignedDecimal: Comparable {
    let isNegative: Bool
    let magnitude: String

    /// - Returns: nil when the text is no plain decimal: digits, and perhaps a point and digits.
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

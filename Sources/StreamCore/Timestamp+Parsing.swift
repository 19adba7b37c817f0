/// The reason why a text is not a ``Timestamp``: what was expected, where, and what kind of character was found. It
/// contains none of the text.
public struct TimestampParseError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The number of characters before the problem.
    public let position: Int
    public let detail: String

    /// The expected form, with an example.
    public static let form = "a date and time of ISO 8601 with its zone, such as 2026-05-01T10:00:00.123Z"

    public var description: String { "expected \(Self.form); at character \(position + 1): \(detail)" }
}

extension Timestamp {
    /// Parses `YYYY-MM-DDTHH:MM[:SS[.fraction]](Z|±HH:MM|±HHMM|±HH)`: RFC 3339, and the forms of ISO 8601 that the
    /// libraries of Java, Python, Go, JavaScript and PostgreSQL write.
    ///
    /// `T` and `Z` may be lower-case, a space may stand for `T` (RFC 3339 §5.6) and a comma for the point of the
    /// fraction. Digits of the fraction past the sixth are dropped. A leap second (`:60`) reads as the second after.
    ///
    /// - Returns: nil if `text` has another form or is not a date of the calendar.
    public init?(_ text: String) {
        self.init(utf8: text.utf8Span.span)
    }

    /// Parses the same form from UTF-8 bytes.
    ///
    /// - Returns: nil if the bytes have another form or are not a date of the calendar.
    public init?(utf8: Span<UInt8>) {
        do { try self.init(parsing: utf8) } catch { return nil }
    }

    /// Parses the same form from UTF-8 bytes, and reports the problem of other texts.
    public init(parsing utf8: Span<UInt8>) throws(TimestampParseError) {
        var text = TimestampCursor(utf8)
        let year = try text.digits(4, "a year of four digits")
        try text.take("-")
        let month = try text.digits(2, "a month of two digits")
        try text.take("-")
        let day = try text.digits(2, "a day of two digits")
        guard (1...12).contains(month), day >= 1, day <= Self.daysInMonth(year: year, month: month) else {
            throw TimestampParseError(position: 0, detail: "the date does not exist")
        }
        try text.takeSeparator()
        let hour = try text.digits(2, "an hour of two digits")
        try text.take(":")
        let minute = try text.digits(2, "a minute of two digits")
        let second = text.takeIfNext(UInt8(ascii: ":")) ? try text.digits(2, "a second of two digits") : 0
        guard hour < 24, minute < 60, second <= 60 else {
            throw TimestampParseError(position: 11, detail: "the time does not exist")
        }
        let fraction = try text.fraction()
        let offset = try text.zone()
        let days = Self.daysSinceEpoch(year: year, month: month, day: day)
        let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - offset
        self.init(microseconds: seconds * 1_000_000 + fraction)
    }
}

/// Steps through the text of a date and time.
private struct TimestampCursor: ~Escapable {
    private let bytes: Span<UInt8>
    private var index = 0

    @_lifetime(copy bytes)
    init(_ bytes: Span<UInt8>) {
        self.bytes = bytes
    }

    /// Reads exactly this number of digits.
    mutating func digits(_ count: Int, _ expected: StaticString) throws(TimestampParseError) -> Int64 {
        var value: Int64 = 0
        for _ in 0..<count {
            guard let digit = nextDigit() else { throw problem(expected) }
            value = value * 10 + digit
        }
        return value
    }

    mutating func take(_ mark: Unicode.Scalar) throws(TimestampParseError) {
        guard takeIfNext(UInt8(ascii: mark)) else { throw problem("'\(mark)'") }
    }

    mutating func takeIfNext(_ byte: UInt8) -> Bool {
        guard index < bytes.count, bytes[index] == byte else { return false }
        index += 1
        return true
    }

    mutating func takeSeparator() throws(TimestampParseError) {
        guard index < bytes.count, bytes[index] | 0x20 == UInt8(ascii: "t") || bytes[index] == UInt8(ascii: " ") else {
            throw problem("'T' and the time")
        }
        index += 1
    }

    /// The microseconds of the fraction, if there is one.
    mutating func fraction() throws(TimestampParseError) -> Int64 {
        guard takeIfNext(UInt8(ascii: ".")) || takeIfNext(UInt8(ascii: ",")) else { return 0 }
        let start = index
        var fraction: Int64 = 0
        var scale: Int64 = 100_000
        while let digit = nextDigit() {
            fraction += digit * scale
            scale /= 10
        }
        if index == start { throw problem("digits of a fraction") }
        return fraction
    }

    /// Reads the zone, with which the text must end. Returns its offset in seconds east of UTC.
    mutating func zone() throws(TimestampParseError) -> Int64 {
        let start = index
        if index < bytes.count, bytes[index] | 0x20 == UInt8(ascii: "z") {
            index += 1
            if index < bytes.count { throw problem("the end") }
            return 0
        }
        let isWest = takeIfNext(UInt8(ascii: "-"))
        guard isWest || takeIfNext(UInt8(ascii: "+")) else { throw problem("the zone as Z, +HH:MM, +HHMM or +HH") }
        let hours = try digits(2, "the zone's hours of two digits")
        var minutes: Int64 = 0
        if index < bytes.count {
            _ = takeIfNext(UInt8(ascii: ":"))
            minutes = try digits(2, "the zone's minutes of two digits")
        }
        if index < bytes.count { throw problem("the end") }
        guard hours < 24, minutes < 60 else {
            throw TimestampParseError(position: start, detail: "the offset from UTC is too large")
        }
        let seconds = hours * 3_600 + minutes * 60
        return isWest ? -seconds : seconds
    }

    @inline(__always)
    private mutating func nextDigit() -> Int64? {
        guard index < bytes.count, case let digit = bytes[index] &- UInt8(ascii: "0"), digit < 10 else { return nil }
        index += 1
        return Int64(digit)
    }

    private func problem(_ expected: StaticString) -> TimestampParseError { problem(expected.description) }

    private func problem(_ expected: String) -> TimestampParseError {
        TimestampParseError(position: index, detail: "expected \(expected), found \(found)")
    }

    /// The kind of the next character.
    private var found: String {
        guard index < bytes.count else { return "the end" }
        switch bytes[index] {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return "a digit"
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): return "a letter"
        case 0x21...0x7E: return "'\(Unicode.Scalar(bytes[index]))'"
        case 0x20: return "a space"
        case 0...0x1F, 0x7F: return "a control character"
        default: return "a character outside ASCII"
        }
    }
}

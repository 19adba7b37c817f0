/// An instant in UTC with the resolution that PostgreSQL's `timestamptz` has: microseconds.
public struct Timestamp: Hashable, Sendable {
    /// Microseconds since 1970-01-01T00:00:00Z; negative before it.
    public let microseconds: Int64

    public init(microseconds: Int64) {
        self.microseconds = microseconds
    }

    /// Whole days since 1970-01-01, rounded towards the past.
    public var day: Int32 { Int32(truncatingIfNeeded: Self.floorDivide(microseconds, by: Self.microsecondsPerDay).0) }

    private static let microsecondsPerDay: Int64 = 86_400_000_000

    private static func floorDivide(_ value: Int64, by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}

extension Timestamp: Comparable {
    public static func < (left: Timestamp, right: Timestamp) -> Bool { left.microseconds < right.microseconds }
}

// MARK: - ISO 8601

extension Timestamp {
    /// Parses `YYYY-MM-DDTHH:MM:SS[.fraction](Z|±HH:MM)` (RFC 3339, the profile of ISO 8601 that events use).
    ///
    /// Digits of the fraction past the sixth are dropped. A leap second (`:60`) reads as the second after.
    ///
    /// - Returns: nil when `text` is anything else or no date of the calendar.
    public init?(_ text: String) {
        self.init(utf8: text.utf8Span.span)
    }

    /// Parses the same form from UTF-8 bytes.
    ///
    /// - Returns: nil when the bytes are anything else or no date of the calendar.
    public init?(utf8: Span<UInt8>) {
        guard utf8.count >= 20,
            let year = Self.digits(utf8, 0, 4), utf8[4] == UInt8(ascii: "-"),
            let month = Self.digits(utf8, 5, 2), utf8[7] == UInt8(ascii: "-"),
            let day = Self.digits(utf8, 8, 2), utf8[10] | 0x20 == UInt8(ascii: "t"),
            let hour = Self.digits(utf8, 11, 2), utf8[13] == UInt8(ascii: ":"),
            let minute = Self.digits(utf8, 14, 2), utf8[16] == UInt8(ascii: ":"),
            let second = Self.digits(utf8, 17, 2),
            (1...12).contains(month), day >= 1, day <= Self.daysInMonth(year: year, month: month),
            hour < 24, minute < 60, second <= 60
        else { return nil }
        var position = 19
        var fraction: Int64 = 0
        if utf8[position] == UInt8(ascii: ".") {
            position += 1
            var scale: Int64 = 100_000
            let start = position
            while position < utf8.count, case let digit = utf8[position] &- UInt8(ascii: "0"), digit < 10 {
                fraction += Int64(digit) * scale
                scale /= 10
                position += 1
            }
            guard position > start else { return nil }
        }
        guard let offset = Self.offset(utf8, at: position) else { return nil }
        let seconds =
            Self.daysSinceEpoch(year: year, month: month, day: day) * 86_400 + hour * 3_600 + minute * 60 + second
            - offset
        self.init(microseconds: seconds * 1_000_000 + fraction)
    }

    /// Seconds east of UTC that the zone at `position` stands for; nil when there is no zone or something follows.
    private static func offset(_ utf8: Span<UInt8>, at position: Int) -> Int64? {
        guard position < utf8.count else { return nil }
        let sign = utf8[position]
        if sign | 0x20 == UInt8(ascii: "z") { return position + 1 == utf8.count ? 0 : nil }
        guard sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-"), position + 6 == utf8.count,
            let hours = digits(utf8, position + 1, 2), utf8[position + 3] == UInt8(ascii: ":"),
            let minutes = digits(utf8, position + 4, 2), hours < 24, minutes < 60
        else { return nil }
        let seconds = hours * 3_600 + minutes * 60
        return sign == UInt8(ascii: "-") ? -seconds : seconds
    }

    private static func digits(_ utf8: Span<UInt8>, _ start: Int, _ count: Int) -> Int64? {
        var value: Int64 = 0
        for index in start..<start + count {
            let digit = utf8[index] &- UInt8(ascii: "0")
            guard digit < 10 else { return nil }
            value = value * 10 + Int64(digit)
        }
        return value
    }

    private static func daysInMonth(year: Int64, month: Int64) -> Int64 {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Howard Hinnant's `days_from_civil`: the proleptic Gregorian calendar without a table.
    private static func daysSinceEpoch(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let (era, yearOfEra) = floorDivide(shifted, by: 400)
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    private static func civil(daysSinceEpoch days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = floorDivide(days + 719_468, by: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth + (shiftedMonth < 10 ? 3 : -9)
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }

    /// `YYYY-MM-DDTHH:MM:SS.ffffffZ`, in ASCII.
    ///
    /// Years outside 0–9999 have no such form and are written as the nearest of the two.
    public var text: InlineArray<27, UInt8> {
        let (seconds, fraction) = Self.floorDivide(microseconds, by: 1_000_000)
        let (days, secondOfDay) = Self.floorDivide(seconds, by: 86_400)
        let date = Self.civil(daysSinceEpoch: days)
        var text = InlineArray<27, UInt8>(repeating: 0)
        Self.write(min(max(date.year, 0), 9_999), to: 0..<4, before: UInt8(ascii: "-"), in: &text)
        Self.write(date.month, to: 5..<7, before: UInt8(ascii: "-"), in: &text)
        Self.write(date.day, to: 8..<10, before: UInt8(ascii: "T"), in: &text)
        Self.write(secondOfDay / 3_600, to: 11..<13, before: UInt8(ascii: ":"), in: &text)
        Self.write(secondOfDay / 60 % 60, to: 14..<16, before: UInt8(ascii: ":"), in: &text)
        Self.write(secondOfDay % 60, to: 17..<19, before: UInt8(ascii: "."), in: &text)
        Self.write(fraction, to: 20..<26, before: UInt8(ascii: "Z"), in: &text)
        return text
    }

    /// Writes `value` as so many digits, and then `terminator`.
    @inline(__always)
    private static func write(
        _ value: Int64, to places: Range<Int>, before terminator: UInt8, in text: inout InlineArray<27, UInt8>
    ) {
        var rest = value
        for index in places.reversed() {
            text[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        text[places.upperBound] = terminator
    }
}

extension Timestamp: LosslessStringConvertible {
    /// `YYYY-MM-DDTHH:MM:SS.ffffffZ`.
    public var description: String {
        let text = text
        // SAFETY: the buffer does not leave the closure, and the string copies it.
        return unsafe text.span.withUnsafeBufferPointer { unsafe String(decoding: $0, as: UTF8.self) }
    }
}

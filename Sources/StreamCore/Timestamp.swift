/// A time in UTC with the resolution of PostgreSQL's `timestamptz`: microseconds.
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

// MARK: - the calendar

extension Timestamp {
    static func daysInMonth(year: Int64, month: Int64) -> Int64 {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// The days since 1970-01-01 in the proleptic Gregorian calendar, by Howard Hinnant's `days_from_civil`.
    static func daysSinceEpoch(year: Int64, month: Int64, day: Int64) -> Int64 {
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
    /// Years outside 0–9999 do not have this form. They are written as the nearest year of this range.
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

    /// Writes `value` with this number of digits, and then `terminator`.
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
    /// `YYYY-MM-DDTHH:MM:SS.ffffffZ`; years outside 0–9999 have a sign and six digits or more, as in ECMAScript.
    public var description: String {
        let (seconds, fraction) = Self.floorDivide(microseconds, by: 1_000_000)
        return Self.description(seconds: seconds, fraction: fraction)
    }

    /// The same text for any number of milliseconds since 1970. Kafka's records may have times that microseconds cannot
    /// represent.
    public static func description(ofMilliseconds milliseconds: Int64) -> String {
        let (seconds, rest) = floorDivide(milliseconds, by: 1_000)
        return description(seconds: seconds, fraction: rest * 1_000)
    }

    private static func description(seconds: Int64, fraction: Int64) -> String {
        let (days, secondOfDay) = floorDivide(seconds, by: 86_400)
        let year = civil(daysSinceEpoch: days).year
        let text = Timestamp(microseconds: (yearless(days) + secondOfDay) * 1_000_000 + fraction).text
        // SAFETY: the buffer does not leave the closure, and the string copies it.
        let common = unsafe text.span.withUnsafeBufferPointer { unsafe String(decoding: $0, as: UTF8.self) }
        if (0...9_999).contains(year) { return common }
        let digits = String(year.magnitude)
        let zeros = String(repeating: "0", count: max(6 - digits.count, 0))
        return (year < 0 ? "-" : "+") + zeros + digits + common.dropFirst(4)
    }

    /// The seconds since 1970 of the day if its year has four digits. For another year, those of the corresponding day
    /// in the years 2000 to 2399: the calendar repeats every 400 years.
    private static func yearless(_ days: Int64) -> Int64 {
        if (0...9_999).contains(civil(daysSinceEpoch: days).year) { return days * 86_400 }
        let cycle: Int64 = 146_097
        let first = daysSinceEpoch(year: 2_000, month: 1, day: 1)
        return (first + floorDivide(days - first, by: cycle).remainder) * 86_400
    }
}

public import StreamCore

/// The position at which reading begins or ends in each partition.
public enum TailPoint: Sendable, Hashable {
    case beginning
    case end
    case offset(Int64)
    /// This number of offsets before the end of the partition.
    case beforeEnd(Int64)
    /// This number of offsets after the beginning of the partition.
    case afterBeginning(Int64)
    /// The first record with this timestamp or a later one, in milliseconds since 1970.
    case time(Int64)

    /// Parses `beginning`, `end`, an offset, `-N`, `+N`, `@` followed by milliseconds since 1970, a date with or
    /// without a time (in UTC by default), or an age such as `15m`.
    ///
    /// - Throws: ``TailSyntaxError``.
    public init(parsing text: String, now: Timestamp) throws(TailSyntaxError) {
        let problem = TailSyntaxError(
            "\"\(text)\" is not a position in a topic. Use beginning, end, an offset, -N (N before the end), +N (N after the "
                + "beginning), 15m (15 minutes ago), 2026-03-01T12:00:00Z or @ with milliseconds since 1970")
        switch text {
        case "beginning", "start", "oldest": self = .beginning
        case "end", "newest", "latest": self = .end
        default:
            let isNumber = text.dropFirst().utf8.allSatisfy { (0x30...0x39).contains($0) }
            if isNumber, let number = Int64(text) {
                switch text.first {
                case "-": self = .beforeEnd(-number)
                case "+": self = .afterBeginning(number)
                default: self = .offset(number)
                }
            } else if text.hasPrefix("@"), let milliseconds = Int64(text.dropFirst()) {
                self = .time(milliseconds)
            } else if let age = Self.milliseconds(text) {
                self = .ago(milliseconds: age, now: now)
            } else if let time = Timestamp(text) ?? Timestamp(text + "Z") ?? Timestamp(text + "T00:00Z") {
                self = .time(time.microseconds / 1_000)
            } else {
                throw problem
            }
        }
    }

    /// The position at this time before `now`.
    public static func ago(milliseconds: Int64, now: Timestamp) -> TailPoint {
        .time(now.microseconds / 1_000 - milliseconds)
    }

    /// The milliseconds of a text such as `250ms`, `30s`, `15m`, `2h` or `7d`.
    private static func milliseconds(_ text: String) -> Int64? {
        let units: [(suffix: String, milliseconds: Int64)] = [
            ("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
        ]
        guard let unit = units.first(where: { text.hasSuffix($0.suffix) }),
            let number = Int64(text.dropLast(unit.suffix.count)), (0...100_000_000).contains(number)
        else { return nil }
        return number * unit.milliseconds
    }
}

/// The range of offsets in a partition.
struct PartitionBounds: Sendable, Equatable {
    /// The offset of the oldest record that the broker has.
    let low: Int64
    /// The offset after the last record.
    let high: Int64

    /// The offset of a position, limited to the range.
    ///
    /// - Parameter found: for a time, the offset that the brokers returned; nil if there is no such record.
    func offset(of point: TailPoint, found: Int64?) -> Int64 {
        let offset: Int64 =
            switch point {
            case .beginning: low
            case .end: high
            case .offset(let offset): offset
            case .beforeEnd(let count): high.subtractingReportingOverflow(count).partialValue
            case .afterBeginning(let count): low.addingReportingOverflow(count).overflow ? high : low + count
            case .time: found ?? high
            }
        return min(max(offset, low), high)
    }
}

/// Reads gaps that are too wide for a page's own statement, in slices, because millions of dead rows may lie there.
/// This is a pure value.
struct GapLook {
    /// Maximum number of ids in gaps that a page's statement reads.
    static let mostOfAPage: Int64 = 1 << 14

    /// Gaps up to this id are read.
    let upTo: Int64
    /// The number of the first request.
    let first: UInt64
    /// The ranges that are not read yet, ascending and without overlap.
    private(set) var left: [ClosedRange<Int64>]

    init(_ ranges: [ClosedRange<Int64>], upTo: Int64, first: UInt64) {
        left = ranges
        self.upTo = upTo
        self.first = first
    }

    /// The number of ids in these ranges. Ids usually begin at 1.
    static func width(_ ranges: [ClosedRange<Int64>]) -> Int64 {
        ranges.reduce(0) { sum, range in
            range.upperBound < 1 ? sum : sum + (range.upperBound - max(range.lowerBound, 1) + 1)
        }
    }

    /// The next ranges, with at most `ids` ids.
    func slice(of ids: Int64) -> [ClosedRange<Int64>] {
        var room = ids
        var slice: [ClosedRange<Int64>] = []
        for range in left.prefix(GapTracker.maximumRanges) where room > 0 {
            let last = min(range.upperBound, max(range.lowerBound, 1) + (room - 1))
            slice.append(range.lowerBound...max(range.lowerBound, last))
            room -= Self.width([slice[slice.count - 1]])
        }
        return slice
    }

    /// Notes that all ranges up to this id were read.
    mutating func pass(_ id: Int64) {
        left = left.compactMap { range in
            if range.upperBound <= id { return nil }
            return max(range.lowerBound, id + 1)...range.upperBound
        }
    }
}

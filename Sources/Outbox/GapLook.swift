/// A look into gaps that are too wide for a page's own statement: in slices, since dead rows may lie there by the
/// million. A pure value.
struct GapLook {
    /// A page's statement looks into gaps of so many ids, at most.
    static let mostOfAPage: Int64 = 1 << 14

    /// Gaps up to here are looked into.
    let upTo: Int64
    /// The number of its first request.
    let first: UInt64
    /// What is not looked into yet: ascending, apart from each other.
    private(set) var left: [ClosedRange<Int64>]

    init(_ ranges: [ClosedRange<Int64>], upTo: Int64, first: UInt64) {
        left = ranges
        self.upTo = upTo
        self.first = first
    }

    /// How many ids lie in these ranges; ids begin at 1 as a rule.
    static func width(_ ranges: [ClosedRange<Int64>]) -> Int64 {
        ranges.reduce(0) { sum, range in
            range.upperBound < 1 ? sum : sum + (range.upperBound - max(range.lowerBound, 1) + 1)
        }
    }

    /// The next ranges, of `ids` ids at most.
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

    /// All up to this id has been looked into.
    mutating func pass(_ id: Int64) {
        left = left.compactMap { range in
            if range.upperBound <= id { return nil }
            return max(range.lowerBound, id + 1)...range.upperBound
        }
    }
}

/// Converts ids to ranges without gaps. Removing a range needs one comparison for each index page instead of one search
/// for each id.
///
/// The ranges are exact: each contains only acknowledged ids. A row that becomes visible later has another id.
enum IDRanges {
    /// - Parameter ids: ascending.
    static func of(_ ids: [Int64]) -> [ClosedRange<Int64>] {
        var ranges: [ClosedRange<Int64>] = []
        guard var low = ids.first else { return [] }
        var high = low
        for id in ids.dropFirst() {
            if id == high + 1 || id == high {
                high = id
                continue
            }
            ranges.append(low...high)
            low = id
            high = id
        }
        ranges.append(low...high)
        return ranges
    }
}

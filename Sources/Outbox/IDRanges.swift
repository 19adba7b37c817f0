/// Ids as ranges without holes: what is removed with one comparison an index leaf instead of one search an id.
///
/// Exact, as a range holds only ids that were acknowledged: a row that appears later has another id.
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

/// The sequences of one aggregate's events that were seen. Nearly all aggregates have fewer than 65 events, for which
/// one word is enough.
struct SequenceSet: Hashable, Sendable {
    private var first: UInt64 = 0
    /// Sequences above 64.
    private var others: Set<Int64>?

    init() {}

    /// The set of 1, 2, … `last`.
    init(upTo last: Int64) {
        if last > 0 { first = last >= 64 ? .max : (1 << UInt64(last)) - 1 }
        if last > 64 { others = Set(65...last) }
    }

    mutating func insert(_ sequence: Int64) {
        if (1...64).contains(sequence) {
            first |= 1 << UInt64(sequence - 1)
        } else {
            others = others ?? []
            others?.insert(sequence)
        }
    }

    mutating func formUnion(_ other: SequenceSet) {
        first |= other.first
        if let more = other.others { others = (others ?? []).union(more) }
    }

    func contains(_ sequence: Int64) -> Bool {
        (1...64).contains(sequence) ? first & (1 << UInt64(sequence - 1)) != 0 : others?.contains(sequence) ?? false
    }

    /// The greatest sequence; 0 if nothing was seen.
    var greatest: Int64 { others?.max() ?? Int64(64 - first.leadingZeroBitCount) }

    /// The sequences from 1 to `last` that were not seen.
    func missing(upTo last: Int64) -> [Int64] { last < 1 ? [] : (1...last).filter { !contains($0) } }
}

/// A bin of the histograms of durations. Bins are 1 ms wide below 32 ms. Above that, every doubling has 16 bins, so a
/// bin is never wider than a sixteenth of its lower bound.
struct DurationBin: Hashable, Sendable {
    /// The lower bound in milliseconds, inclusive.
    let atLeastMs: Int64
    /// The upper bound in milliseconds, exclusive.
    var belowMs: Int64 { atLeastMs + Self.width(at: atLeastMs) }

    /// The bin of a duration. The clocks of two services may make a duration negative, which counts as 0.
    init(microseconds: Int64) {
        let milliseconds = max(microseconds, 0) / 1_000
        let width = Self.width(at: milliseconds)
        atLeastMs = milliseconds / width * width
    }

    private static func width(at milliseconds: Int64) -> Int64 {
        let bits = Int64.bitWidth - milliseconds.leadingZeroBitCount
        return 1 << max(bits - 5, 0)
    }
}

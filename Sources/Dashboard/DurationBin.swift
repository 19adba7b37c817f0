/// A bin of the histograms of durations: one millisecond wide below 32 ms, above that 16 to each doubling, so that a
/// bin is never wider than a sixteenth of where it begins.
struct DurationBin: Hashable, Sendable {
    /// Milliseconds, within the bin.
    let atLeastMs: Int64
    /// Milliseconds, the first ones beyond it.
    var belowMs: Int64 { atLeastMs + Self.width(at: atLeastMs) }

    /// The bin that `microseconds` fall into. Clocks of two services may make a duration negative: that is none.
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

/// Decides which spans are recorded. A span with a parent is recorded if its parent is. Of the traces that begin here,
/// a part is recorded.
///
/// The second decision depends only on the trace's id, so it is the same in every process with the same ratio.
public struct TraceSampler: Sendable {
    /// Of 2⁶³ possible values, how many are sampled.
    private let bound: UInt64

    /// - Parameter ratio: the part of the traces that begin here, 0 to 1.
    public init(ratio: Double) {
        bound = ratio >= 1 ? 1 << 63 : UInt64(max(0, ratio) * 0x1p63)
    }

    /// Whether a trace without a parent is recorded.
    func samples(_ id: TraceContext.TraceID) -> Bool { id.low >> 1 < bound }

    /// The context of a new span.
    ///
    /// - Parameters:
    ///   - parent: nil for the first span of a trace.
    ///   - isLinked: whether it has links to recorded spans.
    func place(
        below parent: TraceContext?, isLinked: Bool, using random: inout some RandomNumberGenerator
    ) -> TraceContext {
        let span = Self.identity(&random)
        if let parent { return parent.child(spanID: span) }
        let id = TraceContext.TraceID(high: Self.identity(&random), low: Self.identity(&random))
        return TraceContext(traceID: id, spanID: span, isSampled: isLinked || samples(id))
    }

    private static func identity(_ random: inout some RandomNumberGenerator) -> UInt64 {
        while true {
            let id: UInt64 = random.next()
            if id != 0 { return id }
        }
    }
}

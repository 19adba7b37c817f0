internal import Synchronization
public import Traces
internal import Tracing

/// Records the spans of all code that runs within `withTracer(spans.tracer())`.
public final class RecordedSpans: Sendable {
    private let kept = Mutex<[FinishedSpan]>([])

    public init() {}

    /// The spans that have ended, in the order of their ends.
    public var all: [FinishedSpan] { kept.withLock { $0 } }

    /// - Parameter ratio: the part of the traces without a parent that is recorded.
    public func tracer(ratio: Double = 1) -> SpanTracer {
        SpanTracer(TraceSampler(ratio: ratio)) { [self] span in kept.withLock { $0.append(span) } }
    }
}

extension FinishedSpan {
    /// An attribute as text; nil if it is missing.
    public func text(_ attribute: String) -> String? {
        switch attributes.get(attribute) {
        case .string(let text): text
        case .int64(let number): String(number)
        case .int32(let number): String(number)
        case .bool(let flag): String(flag)
        default: nil
        }
    }
}

public import Tracing

/// A recorded span that has ended.
public struct FinishedSpan: Sendable {
    public let context: TraceContext
    /// The parent's id; nil for the first span of a trace.
    public let parentID: UInt64?
    public let name: String
    public let kind: SpanKind
    /// Nanoseconds since 1970.
    public let start: UInt64
    public let end: UInt64
    public let attributes: SpanAttributes
    public let events: [SpanEvent]
    public let links: [Link]
    /// Number of links beyond the limit.
    public let droppedLinks: Int
    /// Number of events beyond the limit.
    public let droppedEvents: Int
    /// Nil if no status was set: no error is known.
    public let status: SpanStatus?

    /// A reference to a related span.
    public struct Link: Sendable {
        public let context: TraceContext
        public let attributes: SpanAttributes
    }
}

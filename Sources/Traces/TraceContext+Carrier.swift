public import Tracing

/// Reads and writes the context of a trace in a dictionary of headers, for any tracer.
public struct TextCarrier: Extractor, Injector {
    public typealias Carrier = [String: String]

    public init() {}

    public func extract(key: String, from carrier: [String: String]) -> String? { carrier[key] }

    public func inject(_ value: String, forKey key: String, into carrier: inout [String: String]) {
        carrier[key] = value
    }
}

extension InstrumentationContext {
    private enum TraceContextKey: InstrumentationContextKey {
        typealias Value = TraceContext
        static let nameOverride: String? = "trace-context"
    }

    private enum LinkedKey: InstrumentationContextKey {
        typealias Value = Bool
        static let nameOverride: String? = "linked-to-sampled"
    }

    /// The current span.
    public var traceContext: TraceContext? {
        get { self[TraceContextKey.self] }
        set { self[TraceContextKey.self] = newValue }
    }

    /// Whether a new span will have links to recorded spans. Such a span is always recorded, because the linked traces
    /// would otherwise be incomplete.
    public var isLinkedToSampled: Bool {
        get { self[LinkedKey.self] ?? false }
        set { self[LinkedKey.self] = newValue ? true : nil }
    }
}

extension Instrument {
    /// The context in the headers of a request or a record.
    public func context(traceparent: String, state: String? = nil) -> InstrumentationContext {
        var context = InstrumentationContext.topLevel
        var headers = ["traceparent": traceparent]
        headers["tracestate"] = state
        extract(headers, into: &context, using: TextCarrier())
        return context
    }

    /// The headers that pass the context on.
    public func headers(of context: InstrumentationContext) -> [String: String] {
        var headers: [String: String] = [:]
        inject(context, into: &headers, using: TextCarrier())
        return headers
    }
}

extension InstrumentationSystem {
    /// The tracer of this task or this process; nil if nothing is traced.
    public static var activeTracer: (any Tracer)? {
        let tracer = tracer
        return tracer is NoOpTracer ? nil : tracer
    }
}

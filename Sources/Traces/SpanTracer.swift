internal import Synchronization
public import Tracing

/// Creates the spans of this process, and passes on each recorded span when it ends.
///
/// Only recorded spans allocate memory; see ``TraceSampler``.
public struct SpanTracer: Tracer {
    public typealias Span = TracedSpan

    private let sampler: TraceSampler
    private let onEnd: @Sendable (FinishedSpan) -> Void

    /// - Parameter onEnd: called with each recorded span, on the thread that ends it. It must return at once.
    public init(_ sampler: TraceSampler, onEnd: @escaping @Sendable (FinishedSpan) -> Void) {
        self.sampler = sampler
        self.onEnd = onEnd
    }

    public func startSpan<Instant: TracerInstant>(
        _ operationName: String, context: @autoclosure () -> InstrumentationContext, ofKind kind: SpanKind,
        at instant: @autoclosure () -> Instant, function: String, file fileID: String, line: UInt
    ) -> TracedSpan {
        var context = context()
        let parent = context.traceContext
        var random = SystemRandomNumberGenerator()
        let place = sampler.place(below: parent, isLinked: context.isLinkedToSampled, using: &random)
        context.traceContext = place
        context.isLinkedToSampled = false
        guard place.isSampled else { return TracedSpan(context: context, record: nil, name: operationName) }
        let record = SpanRecord(
            place, parentID: parent?.spanID, operationName, kind, start: instant().nanosecondsSinceEpoch, onEnd)
        return TracedSpan(context: context, record: record, name: operationName)
    }

    public func forceFlush() {}

    public func extract<Carrier, Extract: Extractor>(
        _ carrier: Carrier, into context: inout InstrumentationContext, using extractor: Extract
    ) where Extract.Carrier == Carrier {
        guard let traceparent = extractor.extract(key: "traceparent", from: carrier) else { return }
        let state = extractor.extract(key: "tracestate", from: carrier)
        if let found = TraceContext(traceparent: traceparent, state: state) { context.traceContext = found }
    }

    public func inject<Carrier, Inject: Injector>(
        _ context: InstrumentationContext, into carrier: inout Carrier, using injector: Inject
    ) where Inject.Carrier == Carrier {
        guard let place = context.traceContext else { return }
        injector.inject(place.traceparent, forKey: "traceparent", into: &carrier)
        if let state = place.state { injector.inject(state, forKey: "tracestate", into: &carrier) }
    }
}

/// A span of ``SpanTracer``.
public struct TracedSpan: Tracing.Span {
    public let context: InstrumentationContext
    /// Nil if the span is not recorded.
    let record: SpanRecord?
    private let name: String

    init(context: InstrumentationContext, record: SpanRecord?, name: String) {
        self.context = context
        self.record = record
        self.name = name
    }

    public var isRecording: Bool { record?.isOpen ?? false }

    public var operationName: String {
        get { record?.name ?? name }
        nonmutating set { record?.change { $0.name = newValue } }
    }

    public var attributes: SpanAttributes {
        get { record?.attributes ?? [:] }
        nonmutating set { record?.change { $0.attributes = newValue } }
    }

    public func setStatus(_ status: SpanStatus) { record?.change { $0.status = status } }

    public func addEvent(_ event: SpanEvent) { record?.change { $0.add(event) } }

    /// Records only the error's type, because its text may contain data.
    public func recordError<Instant: TracerInstant>(
        _ error: any Error, attributes: SpanAttributes, at instant: @autoclosure () -> Instant
    ) {
        guard isRecording else { return }
        var attributes = attributes
        attributes["exception.type"] = "\(type(of: error))"
        addEvent(SpanEvent(name: "exception", at: instant(), attributes: attributes))
    }

    public func addLink(_ link: SpanLink) {
        guard let place = link.context.traceContext else { return }
        record?.change { $0.add(FinishedSpan.Link(context: place, attributes: link.attributes)) }
    }

    public func end<Instant: TracerInstant>(at instant: @autoclosure () -> Instant) {
        record?.end(at: instant().nanosecondsSinceEpoch)
    }
}

/// The data of a recorded span until it ends.
final class SpanRecord: Sendable {
    /// Maximum number of links of a span, and of events.
    static let limit = 128

    struct State {
        var name: String
        var attributes: SpanAttributes = [:]
        var events: [SpanEvent] = []
        var links: [FinishedSpan.Link] = []
        var droppedEvents = 0
        var droppedLinks = 0
        var status: SpanStatus?
        var isOpen = true

        mutating func add(_ event: SpanEvent) {
            if events.count < SpanRecord.limit { events.append(event) } else { droppedEvents += 1 }
        }

        mutating func add(_ link: FinishedSpan.Link) {
            if links.count < SpanRecord.limit { links.append(link) } else { droppedLinks += 1 }
        }
    }

    private let place: TraceContext
    private let parentID: UInt64?
    private let kind: SpanKind
    private let start: UInt64
    private let onEnd: @Sendable (FinishedSpan) -> Void
    private let state: Mutex<State>

    init(
        _ place: TraceContext, parentID: UInt64?, _ name: String, _ kind: SpanKind, start: UInt64,
        _ onEnd: @escaping @Sendable (FinishedSpan) -> Void
    ) {
        self.place = place
        self.parentID = parentID
        self.kind = kind
        self.start = start
        self.onEnd = onEnd
        state = Mutex(State(name: name))
    }

    var isOpen: Bool { state.withLock { $0.isOpen } }
    var name: String { state.withLock { $0.name } }
    var attributes: SpanAttributes { state.withLock { $0.attributes } }

    /// Changes the data, unless the span has ended.
    func change(_ body: (inout State) -> Void) {
        state.withLock { if $0.isOpen { body(&$0) } }
    }

    /// - Parameter time: nanoseconds since 1970. If the clock was set back, the span ends when it began.
    func end(at time: UInt64) {
        let finished = state.withLock { state -> FinishedSpan? in
            guard state.isOpen else { return nil }
            state.isOpen = false
            return FinishedSpan(
                context: place, parentID: parentID, name: state.name, kind: kind, start: start, end: max(start, time),
                attributes: state.attributes, events: state.events, links: state.links,
                droppedLinks: state.droppedLinks, droppedEvents: state.droppedEvents, status: state.status)
        }
        if let finished { onEnd(finished) }
    }
}

internal import Kafka
internal import Postgres
internal import StreamCore
internal import Traces
internal import Tracing

/// Begins the spans of batches that contain records of recorded traces.
struct BatchTracer: Sendable {
    /// Maximum number of links of a span. An attribute counts the links that are left out.
    private static let maxLinks = 128

    private let tracer: any Tracer

    /// - Returns: nil if nothing is traced.
    init?(_ tracer: (any Tracer)? = InstrumentationSystem.activeTracer) {
        guard let tracer else { return nil }
        self.tracer = tracer
    }

    /// Begins the span of a slice of a batch.
    ///
    /// If one record of the slice has a recorded trace, the span belongs to that trace. If several have one, the span
    /// begins a new trace with links to all of them, because no record is more the cause of the batch than the others.
    ///
    /// - Returns: nil if no record of the slice has a recorded trace.
    func begin<Event>(_ batch: PreparedBatch<Event>, _ slice: BatchSlice, group: String) -> BatchSpan? {
        if batch.traces.isEmpty { return nil }
        let items = batch.items(of: slice)
        let taken = Set(items)
        let contexts = batch.traces.filter { taken.contains($0.item) }.map {
            tracer.context(traceparent: $0.context.traceparent)
        }
        guard let first = contexts.first else { return nil }
        var parent = contexts.count == 1 ? first : .topLevel
        parent.isLinkedToSampled = true
        let partitions = Set(items.map { batch.layout.partOfItem[$0] }).map { batch.layout.parts[Int($0)].partition }
        let topics = Set(partitions.map(\.topic))
        let topic = topics.count == 1 ? topics.first : nil
        let span = tracer.startSpan(topic.map { "process \($0)" } ?? "process", context: parent, ofKind: .consumer)
        guard span.isRecording else { return nil }
        for context in contexts.prefix(Self.maxLinks) { span.addLink(SpanLink(context: context, attributes: [:])) }
        span.updateAttributes {
            $0["messaging.system"] = "kafka"
            $0["messaging.operation.name"] = "process"
            $0["messaging.operation.type"] = "process"
            $0["messaging.consumer.group.name"] = group
            if let topic { $0["messaging.destination.name"] = topic }
            if partitions.count == 1, let partition = partitions.first {
                $0["messaging.destination.partition.id"] = String(partition.partition)
            }
            if items.count == 1, let item = items.first {
                $0["messaging.kafka.offset"] = batch.layout.offsetOfItem[item]
            } else {
                $0["messaging.batch.message_count"] = items.count
            }
            if contexts.count > Self.maxLinks { $0["millrace.links.omitted"] = contexts.count - Self.maxLinks }
        }
        return BatchSpan(span: span)
    }
}

/// The span of one attempt to apply a slice of a batch in a transaction.
struct BatchSpan: Sendable {
    private let span: any Tracing.Span

    fileprivate init(span: any Tracing.Span) {
        self.span = span
    }

    /// Ends the span.
    ///
    /// - Parameters:
    ///   - outcome: the result of the attempt.
    ///   - applied: number of events that were applied.
    ///   - duplicates: number of events that had been applied before.
    ///   - letters: number of letters that were written.
    func end(_ outcome: RunnerState.Input, applied: Int, duplicates: Int, letters: Int) {
        if let error = outcome.errorType {
            span.updateAttributes { $0["error.type"] = error }
            span.setStatus(SpanStatus(code: .error))
        } else {
            span.updateAttributes {
                $0["millrace.events.applied"] = applied
                if duplicates > 0 { $0["millrace.events.duplicate"] = duplicates }
                if letters > 0 { $0["millrace.letters.written"] = letters }
            }
        }
        span.end()
    }
}

extension RunnerState.Input {
    /// The value of `error.type`, without data of events; nil for a committed write.
    fileprivate var errorType: String? {
        switch self {
        case .written(.committed): nil
        case .written(.fenced): "fenced"
        case .written(.unknown): "unknown_outcome"
        case .written(.failed(let fault)): fault.failure.failure.errorClass
        case .written(.undecodable(let failure, item: _)): failure.failure.errorClass
        case .written(.failing): "events_failing"
        case .written(.unproven): "events_unproven"
        case .written(.tooLong): "slice_too_long"
        case .written(.lettersMissing): "letters_missing"
        case .written(.tooSlow): "too_slow"
        case .databaseFailed(let failure):
            (failure.underlying as? PostgresError)?.sqlState.map { "sql_\($0)" } ?? "database_\(failure.kind)"
        default: "unknown"
        }
    }
}

extension WriteFault {
    fileprivate var failure: ItemFailure {
        switch cause {
        case .event(let failure), .doubtful(let failure, _): failure
        }
    }
}

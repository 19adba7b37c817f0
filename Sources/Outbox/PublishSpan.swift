internal import Kafka
internal import Traces
internal import Tracing

/// Begins the spans of rows that belong to a recorded trace.
///
/// A relay without a tracer has no such value, and reads no header for tracing.
struct PublishTracer: Sendable {
    private let tracer: any Tracer

    /// - Returns: nil if nothing is traced.
    init?(_ tracer: (any Tracer)? = InstrumentationSystem.activeTracer) {
        guard let tracer else { return nil }
        self.tracer = tracer
    }

    /// Begins the span of a row.
    ///
    /// - Parameter traceparent: the row's own header.
    /// - Returns: nil if the trace is not recorded or the header is invalid. The header is then passed on unchanged.
    func begin(_ traceparent: Swift.Span<UInt8>) -> PublishSpan? {
        guard let parent = TraceContext(traceparent: traceparent), parent.isSampled else { return nil }
        let span = tracer.startSpan("send", context: tracer.context(traceparent: parent.traceparent), ofKind: .producer)
        guard span.isRecording, let own = tracer.headers(of: span.context)["traceparent"] else { return nil }
        return PublishSpan(span: span, traceparent: own)
    }
}

/// The span of one row's publication. It begins when the record is built and ends with Kafka's acknowledgement.
///
/// Names and attributes are those of OpenTelemetry's conventions for messaging, with Kafka's own.
struct PublishSpan: Sendable {
    private let span: any Tracing.Span
    /// The record's header `traceparent`, by which consumers refer to this span.
    let traceparent: String

    fileprivate init(span: any Tracing.Span, traceparent: String) {
        self.span = span
        self.traceparent = traceparent
    }

    /// Sets the name and the attributes.
    ///
    /// - Parameters:
    ///   - topic: the topic of the record.
    ///   - eventID: the id of the event; nil if the row's id is not a UUID.
    ///   - bytes: the size of the record's value.
    ///   - shard: the shard that publishes the row.
    func describe(topic: String, eventID: String?, bytes: Int, shard: Int) {
        span.operationName = "send \(topic)"
        span.updateAttributes {
            $0["messaging.system"] = "kafka"
            $0["messaging.operation.name"] = "send"
            $0["messaging.operation.type"] = "send"
            $0["messaging.destination.name"] = topic
            $0["messaging.message.body.size"] = bytes
            $0["millrace.outbox.shard"] = shard
            if let eventID { $0["messaging.message.id"] = eventID }
        }
    }

    /// Ends the span: Kafka acknowledged the record.
    func acknowledged(partition: Int32, offset: Int64) {
        span.updateAttributes {
            $0["messaging.destination.partition.id"] = String(partition)
            $0["messaging.kafka.offset"] = offset
        }
        span.end()
    }

    /// Ends the span with an error: the record was not acknowledged.
    ///
    /// - Parameter reason: the class of the error, such as the name of librdkafka's error.
    func failed(_ reason: String) {
        span.updateAttributes { $0["error.type"] = reason }
        span.setStatus(SpanStatus(code: .error))
        span.end()
    }
}

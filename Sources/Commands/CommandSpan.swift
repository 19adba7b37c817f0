internal import Traces
internal import Tracing

/// The span of a command, from its arrival to its answer. It belongs to the trace of the current task, or to the trace
/// that came with the request.
struct CommandSpan: Sendable {
    private let span: any Tracing.Span

    /// Begins the span. The outbox rows of the command refer to it, through `request.trace`.
    ///
    /// - Returns: nil if the command is not recorded. The request then keeps the trace that it came with.
    init?(_ name: String, _ request: inout CommandRequest) {
        guard let tracer = InstrumentationSystem.activeTracer else { return nil }
        let context =
            InstrumentationContext.current
            ?? request.trace.map { tracer.context(traceparent: $0.traceparent, state: $0.state) } ?? .topLevel
        span = tracer.startSpan(name, context: context)
        guard span.isRecording else { return nil }
        let headers = tracer.headers(of: span.context)
        if let traceparent = headers["traceparent"] {
            request.trace = TraceContext(traceparent: traceparent, state: headers["tracestate"])
        }
        span.updateAttributes { $0["millrace.command.name"] = name }
    }

    func end(_ reply: CommandReply) {
        let status = CommandTelemetry.status(of: reply)
        span.updateAttributes {
            $0["millrace.command.status"] = status.rawValue
            if case .outcome(let outcome, let events) = reply {
                $0["millrace.command.events"] = events
                if case .refused(let refusal) = outcome.verdict { $0["millrace.command.rule"] = refusal.rule }
            }
        }
        // A refusal by a rule is a regular answer and not an error.
        if case .failed = reply {
            span.updateAttributes { $0["error.type"] = status.rawValue }
            span.setStatus(SpanStatus(code: .error))
        }
        span.end()
    }
}

internal import HTTPTypes
internal import Traces
internal import Tracing

/// The span of a request, from its head to the end of the response. It continues the client's trace or begins one.
///
/// Names and attributes are those of OpenTelemetry's conventions for HTTP servers. The span does not contain the query
/// of the target, which may contain data.
struct ServerSpan: Sendable {
    private let span: any Tracing.Span
    private let method: String

    /// The known methods. The span calls all others `_OTHER`, because clients can send any text.
    private static let methods: Set<String> = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
    ]
    /// Maximum length of the path in characters.
    private static let pathLimit = 256

    init(_ request: HTTPTypes.HTTPRequest, _ tracer: any Tracer, isEncrypted: Bool) {
        let given = request.method.rawValue
        method = Self.methods.contains(given) ? given : "_OTHER"
        var context = InstrumentationContext.topLevel
        if let traceparent = request.headerFields[.traceparent] {
            context = tracer.context(traceparent: traceparent, state: request.headerFields[.tracestate])
        }
        span = tracer.startSpan(method == "_OTHER" ? "HTTP" : method, context: context, ofKind: .server)
        guard span.isRecording else { return }
        let path = (request.path ?? "").prefix { $0 != "?" }.prefix(Self.pathLimit)
        span.updateAttributes {
            $0["http.request.method"] = method
            $0["url.path"] = String(path)
            $0["url.scheme"] = isEncrypted ? "https" : "http"
        }
    }

    /// Runs a part of the work on the response, in which new spans are children of this one.
    static func within<Answer>(
        _ span: ServerSpan?, _ body: () async throws -> Answer
    ) async throws -> Answer {
        guard let span else { return try await body() }
        return try await InstrumentationContext.$current.withValue(span.span.context) { try await body() }
    }

    /// Records the result.
    ///
    /// - Parameters:
    ///   - route: the template of the route; nil if no route matches.
    ///   - status: the status of the response.
    func answered(route: String?, status: Int) {
        guard span.isRecording else { return }
        if let route { span.operationName = "\(method == "_OTHER" ? "HTTP" : method) \(route)" }
        span.updateAttributes {
            if let route { $0["http.route"] = route }
            $0["http.response.status_code"] = status
            if status >= 500 { $0["error.type"] = String(status) }
        }
        // An invalid request is not an error of the server.
        if status >= 500 { span.setStatus(SpanStatus(code: .error)) }
    }

    func end() { span.end() }
}

extension HTTPField.Name {
    fileprivate static let traceparent = named("traceparent")
    fileprivate static let tracestate = named("tracestate")

    private static func named(_ text: String) -> HTTPField.Name {
        guard let name = HTTPField.Name(text) else { preconditionFailure("\(text) is no field's name") }
        return name
    }
}

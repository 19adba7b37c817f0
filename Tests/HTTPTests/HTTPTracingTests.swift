import HTTP
import TestKit
import Testing
import Traces
import Tracing

/// Tests the span of a request: which trace it continues, and its status for each response.
@Suite struct HTTPTracingTests {
    private static let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    private struct Broken: Error {}

    /// Returns the trace context of the handler.
    private static let routes = [
        HTTPRoute("/v1/orders/{id}") { _ in text(InstrumentationContext.current?.traceContext?.traceparent ?? "none") },
        HTTPRoute("/broken") { _ in throw Broken() },
        HTTPRoute("/stream", isStream: true) { _ in
            HTTPResponse(body: .stream { try await $0.write(Array("data: 1\n\n".utf8)) })
        },
    ]

    private static func run(
        ratio: Double = 1, _ body: (ServedHTTP) async throws -> Void
    ) async throws -> [FinishedSpan] {
        let spans = RecordedSpans()
        try await withTracer(spans.tracer(ratio: ratio)) {
            try await ServedHTTP.run(routes, { $0.isTraced = true }, body)
        }
        return spans.all
    }

    @Test func aRequestGoesOnWithTheClientsTrace() async throws {
        var inHandler = ""
        let spans = try await Self.run(ratio: 0) { server in
            let response = try await server.get(
                "/v1/orders/7?secret=1", headers: "traceparent: \(Self.traceparent)\r\ntracestate: a=b\r\n")
            #expect(response.status == 200)
            inHandler = response.body
        }
        let span = try #require(spans.first)
        #expect(spans.count == 1 && span.name == "GET /v1/orders/{id}" && span.kind == .server && span.status == nil)
        #expect(span.context.traceID.text == "0af7651916cd43dd8448eb211c80319c")
        #expect(span.parentID == 0xb7ad_6b71_6920_3331 && span.context.state == "a=b")
        #expect(inHandler == span.context.traceparent, "the handler runs within the request's span")
        #expect(span.text("http.request.method") == "GET" && span.text("http.route") == "/v1/orders/{id}")
        #expect(span.text("url.path") == "/v1/orders/7" && span.text("url.scheme") == "http")
        #expect(span.text("http.response.status_code") == "200" && span.text("error.type") == nil)
    }

    @Test func whatTheServerFailsAtIsAnError() async throws {
        let spans = try await Self.run { server in
            let (broken, nothing) = (try await server.get("/broken"), try await server.get("/nothing/here"))
            #expect(broken.status == 500 && nothing.status == 404)
        }
        #expect(spans.map(\.name) == ["GET /broken", "GET"], "a path without a route is not in the span's name")
        #expect(spans[0].status?.code == .error && spans[0].text("error.type") == "500")
        #expect(spans[1].status == nil && spans[1].text("http.response.status_code") == "404")
        #expect(spans.allSatisfy { $0.parentID == nil } && spans[0].context.traceID != spans[1].context.traceID)
    }

    @Test func aStreamIsOneSpan() async throws {
        let spans = try await Self.run { server in
            let response = try await server.get("/stream")
            #expect(response.status == 200)
        }
        #expect(spans.map(\.name) == ["GET /stream"] && spans[0].text("http.response.status_code") == "200")
    }

    /// An invalid context, or two contexts, begin a new trace. A context that is not sampled is passed on.
    @Test func onlyWhatIsAContextIsGoneOnWith() async throws {
        let twice = "traceparent: \(Self.traceparent)\r\ntraceparent: \(Self.traceparent)\r\n"
        let unsampled = Self.traceparent.dropLast() + "0"
        let spans = try await Self.run { server in
            for headers in ["traceparent: nonsense\r\n", twice] {
                let response = try await server.get("/v1/orders/7", headers: headers)
                #expect(response.status == 200)
            }
            let inHandler = try await server.get("/v1/orders/7", headers: "traceparent: \(unsampled)\r\n").body
            #expect(inHandler.hasPrefix("00-0af7651916cd43dd8448eb211c80319c-") && inHandler.hasSuffix("-00"))
        }
        #expect(spans.count == 2 && spans.allSatisfy { $0.parentID == nil })
    }

    @Test func aServerThatIsNotTracedKnowsNoTrace() async throws {
        let spans = RecordedSpans()
        try await withTracer(spans.tracer()) {
            try await ServedHTTP.run(Self.routes) { server in
                let headers = "traceparent: \(Self.traceparent)\r\n"
                let response = try await server.get("/v1/orders/7", headers: headers)
                #expect(response.body == "none")
            }
        }
        #expect(spans.all.isEmpty)
    }
}

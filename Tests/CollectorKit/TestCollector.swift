import Foundation
public import HTTP
import Logging
import ServiceLifecycle
import Synchronization

/// A collector of spans on 127.0.0.1. It accepts OTLP/HTTP requests and returns the answers that the test gives.
public final class TestCollector: Sendable {
    public enum Answer: Sendable {
        case status(Int, headers: [(name: String, value: String)] = [], body: String = "{}")
        /// No answer until the client closes the connection.
        case silence
    }

    public struct Request: Sendable {
        let request: HTTPRequest

        public var body: [UInt8] { request.body }
        public func header(_ name: String) -> String? { request.header(name) }
    }

    /// A span of an accepted request.
    public struct Span: Sendable {
        /// The value of `service.name`.
        public let service: String
        public let name: String
        public let trace: String
        public let parent: String?
    }

    private struct State {
        var requests: [Request] = []
        var spans: [Span] = []
        var answers: [Answer]
        /// The open streams that keep requests without an answer waiting.
        var silences: [AsyncStream<Never>.Continuation] = []
    }

    public let port: Int
    private let state: Mutex<State>

    public var endpoint: String { "http://127.0.0.1:\(port)/v1/traces" }
    public var requests: [Request] { state.withLock(\.requests) }
    /// The spans of all requests that were answered with 200.
    public var spans: [Span] { state.withLock(\.spans) }

    private init(port: Int, _ answers: [Answer]) {
        self.port = port
        state = Mutex(State(answers: answers))
    }

    /// Runs a collector while `body` runs.
    ///
    /// - Parameters:
    ///   - answers: one answer for each request. The last one is also the answer to all later requests.
    ///   - port: 0 for any free port.
    ///   - tls: the certificate of the server; nil for a server without TLS.
    public static func run(
        _ answers: [Answer] = [.status(200)], port: Int = 0, tls: TLSIdentity? = nil,
        _ body: (TestCollector) async throws -> Void
    ) async throws {
        let collector = Mutex<TestCollector?>(nil)
        var configuration = HTTPServerConfiguration()
        configuration.port = port
        configuration.tls = tls
        configuration.maxBodyBytes = 20_000_000
        configuration.requestTimeoutMs = 600_000
        configuration.receiveTimeoutMs = 120_000
        configuration.drainTimeoutMs = 1
        let route = HTTPRoute("/v1/traces", method: .post) { request in
            guard let collector = collector.withLock({ $0 }) else { return HTTPResponse(status: 503) }
            return try await collector.answer(request)
        }
        let (ports, listening) = AsyncStream.makeStream(of: Int.self)
        let logger = Logger(label: "collector") { _ in SwiftLogNoOpLogHandler() }
        let server = HTTPServer(configuration: configuration, routes: HTTPRoutes([route]), logger: logger) { port in
            collector.withLock { $0 = TestCollector(port: port, answers) }
            listening.yield(port)
        }
        let group = ServiceGroup(services: [server], logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                defer { listening.finish() }
                try await group.run()
            }
            var iterator = ports.makeAsyncIterator()
            if await iterator.next() != nil, let collector = collector.withLock({ $0 }) {
                try await body(collector)
                await group.triggerGracefulShutdown()
            }
            try await tasks.waitForAll()
        }
    }

    private func answer(_ request: HTTPRequest) async throws -> HTTPResponse {
        let answer = state.withLock { state in
            state.requests.append(Request(request: request))
            return state.answers.count > 1 ? state.answers.removeFirst() : state.answers[0]
        }
        switch answer {
        case .silence:
            let (nothing, silence) = AsyncStream.makeStream(of: Never.self)
            state.withLock { $0.silences.append(silence) }
            // Wait until the request is cancelled.
            for await _ in nothing {}
            return HTTPResponse(status: 503)
        case .status(let status, let headers, let body):
            if status == 200 {
                let spans = try Self.spans(of: request.body)
                state.withLock { $0.spans += spans }
            }
            return HTTPResponse(
                status: status, headers: headers + [("Content-Type", "application/json")],
                body: .bytes(Array(body.utf8)))
        }
    }

    /// Parses an `ExportTraceServiceRequest` with a JSON reader that shares no code with the exporter's writer.
    private static func spans(of body: [UInt8]) throws -> [Span] {
        let request = try JSONSerialization.jsonObject(with: Data(body)) as? [String: [[String: Any]]]
        var spans: [Span] = []
        for group in request?["resourceSpans"] ?? [] {
            let resource = (group["resource"] as? [String: [[String: Any]]])?["attributes"]
            let service = resource?.first { $0["key"] as? String == "service.name" }?["value"] as? [String: String]
            for scope in group["scopeSpans"] as? [[String: Any]] ?? [] {
                for span in scope["spans"] as? [[String: Any]] ?? [] {
                    spans.append(
                        Span(
                            service: service?["stringValue"] ?? "", name: span["name"] as? String ?? "",
                            trace: span["traceId"] as? String ?? "", parent: span["parentSpanId"] as? String))
                }
            }
        }
        return spans
    }
}

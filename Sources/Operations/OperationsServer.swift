public import HTTP
public import Logging
public import ServiceLifecycle
internal import WireJSON

/// The HTTP server for operators and monitoring:
///
/// | path | answer |
/// |---|---|
/// | `/health/startup` | 200 once the process has begun to work, otherwise 503 |
/// | `/health/live` | 200 while all loops make progress, otherwise 503 |
/// | `/health/ready` | 200 when ready for work, otherwise 503 |
/// | `/metrics` | Prometheus's text format |
///
/// Answers about health are JSON. They contain the name and the kind of each check, and the reason if it fails.
public struct OperationsServer: Service {
    public typealias BindError = HTTPServer.BindError

    private let server: HTTPServer

    /// - Parameters:
    ///   - host: the address to listen on.
    ///   - port: the port to listen on; 0 for any free port.
    ///   - health: the health that the server reports.
    ///   - metrics: the metrics that the server exposes.
    ///   - stallAfter: the maximum time that the server's own loop may make no progress.
    ///   - logger: receives the server's log lines.
    ///   - onListening: called once with the port that the server listens on.
    public init(
        host: String, port: Int, health: HealthRegistry, metrics: PrometheusMetrics,
        stallAfter: Duration = .seconds(120), logger: Logger,
        onListening: @escaping @Sendable (Int) -> Void = { _ in }
    ) {
        var configuration = HTTPServerConfiguration()
        configuration.name = "operations"
        configuration.host = host
        configuration.port = port
        // Health and metrics contain no personal data. The network decides who can reach this server.
        configuration.allowUnauthenticated = true
        // On loopback, the check of the Host header stops a page of another site that reaches the server through its
        // own domain name (DNS rebinding). On other addresses, Prometheus may use any name for the service.
        configuration.checksHosts = configuration.isLoopback
        configuration.maxConnections = 256
        // Requests of probes are short.
        configuration.drainTimeoutMs = 1_000
        let loop = health.watch(
            .loop, "operations loop", limit: stallAfter + HTTPServerConfiguration.turnInterval)
        loop.turned(to: .working)
        configuration.onTurn = { _ in loop.progressed() }
        let routes = [
            HTTPRoute("/health/startup") { _ in Self.answer(health.startup()) },
            HTTPRoute("/health/live") { _ in Self.answer(health.live()) },
            HTTPRoute("/health/ready") { _ in Self.answer(health.ready()) },
            HTTPRoute("/metrics") { _ in
                Self.response(
                    Array((metrics.exposition() + Self.exposition(of: health)).utf8), 200,
                    type: "text/plain; version=0.0.4; charset=utf-8")
            },
        ]
        server = HTTPServer(
            configuration: configuration, routes: HTTPRoutes(routes), logger: logger, onListening: onListening)
    }

    /// Serves requests until the process stops.
    ///
    /// - Throws: ``BindError``.
    public func run() async throws {
        try await server.run()
    }

    private static func answer(_ report: HealthRegistry.Report) -> HTTPResponse {
        var json = JSONWriter(capacity: 256)
        json.beginObject()
        json.key("status")
        json.string(report.isGood ? "pass" : "fail")
        json.key("checks")
        json.beginArray()
        for check in report.checks {
            json.beginObject()
            json.key("name")
            json.string(check.name)
            json.key("kind")
            json.string(check.kind.rawValue)
            json.key("status")
            json.string(check.reason == nil ? "pass" : "fail")
            if let reason = check.reason {
                json.key("reason")
                json.string(reason)
            }
            json.endObject()
        }
        json.endArray()
        json.endObject()
        return response(json.finish() + [UInt8(ascii: "\n")], report.isGood ? 200 : 503, type: "application/json")
    }

    /// Liveness and readiness as metrics, for deployments without probes.
    private static func exposition(of health: HealthRegistry) -> String {
        prometheusHead("millrace_live", "gauge", help: "1 while all loops make progress, else 0.")
            + "millrace_live \(health.live().isGood ? 1 : 0)\n"
            + prometheusHead("millrace_ready", "gauge", help: "1 while the process is ready for work, else 0.")
            + "millrace_ready \(health.ready().isGood ? 1 : 0)\n"
    }

    private static func response(_ body: [UInt8], _ status: Int, type: String) -> HTTPResponse {
        HTTPResponse(
            status: status, headers: [("Content-Type", type), ("Cache-Control", "no-store")], body: .bytes(body))
    }
}

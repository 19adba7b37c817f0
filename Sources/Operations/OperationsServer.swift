public import HTTP
public import Logging
public import ServiceLifecycle

/// The HTTP server for operators and their tools:
///
/// | path | answer |
/// |---|---|
/// | `/health/live` | 200 while all loops move, otherwise 503 with what does not |
/// | `/health/ready` | 200 when ready for work, otherwise 503 with what is missing |
/// | `/metrics` | Prometheus's text format |
public struct OperationsServer: Service {
    public typealias BindError = HTTPServer.BindError

    private let server: HTTPServer

    /// - Parameters:
    ///   - port: 0 for any free one.
    ///   - onListening: called once with the port that is listened on.
    public init(
        host: String, port: Int, health: HealthRegistry, metrics: PrometheusMetrics, logger: Logger,
        onListening: @escaping @Sendable (Int) -> Void = { _ in }
    ) {
        var configuration = HTTPServerConfiguration()
        configuration.name = "operations"
        configuration.host = host
        configuration.port = port
        // Health and metrics tell nothing about anybody; who may reach them is the network's business.
        configuration.allowUnauthenticated = true
        // On loopback a page of another site must not get at them through a name of its own. Elsewhere whoever scrapes
        // may know the service by any name.
        configuration.checksHosts = configuration.isLoopback
        configuration.maxConnections = 256
        // Probes do not wait.
        configuration.drainTimeoutMs = 1_000
        let routes = [
            HTTPRoute("/health/live") { _ in Self.answer(health.live()) },
            HTTPRoute("/health/ready") { _ in Self.answer(health.ready()) },
            HTTPRoute("/metrics") { _ in
                Self.text(
                    metrics.exposition() + Self.exposition(of: health), 200,
                    type: "text/plain; version=0.0.4; charset=utf-8")
            },
        ]
        server = HTTPServer(configuration: configuration, routes: routes, logger: logger, onListening: onListening)
    }

    /// Serves until the process stops.
    ///
    /// - Throws: ``BindError``.
    public func run() async throws {
        try await server.run()
    }

    private static func answer(_ report: HealthRegistry.Report) -> HTTPResponse {
        let body = report.isGood ? "ok\n" : report.problems.map { $0 + "\n" }.joined()
        return text(body, report.isGood ? 200 : 503, type: "text/plain; charset=utf-8")
    }

    /// The same answers as metrics, for deployments without probes.
    private static func exposition(of health: HealthRegistry) -> String {
        prometheusHead("millrace_live", "gauge", help: "1 while all loops make progress, else 0.")
            + "millrace_live \(health.live().isGood ? 1 : 0)\n"
            + prometheusHead("millrace_ready", "gauge", help: "1 while the process is ready for work, else 0.")
            + "millrace_ready \(health.ready().isGood ? 1 : 0)\n"
    }

    private static func text(_ body: String, _ status: Int, type: String) -> HTTPResponse {
        HTTPResponse(
            status: status, headers: [("Content-Type", type), ("Cache-Control", "no-store")],
            body: .bytes(Array(body.utf8)))
    }
}

internal import Hummingbird
public import Logging
internal import NIOCore
public import ServiceLifecycle

/// The HTTP server for operators and their tools:
///
/// | path | answer |
/// |---|---|
/// | `/health/live` | 200 while all loops move, otherwise 503 with what does not |
/// | `/health/ready` | 200 when ready for work, otherwise 503 with what is missing |
/// | `/metrics` | Prometheus's text format |
public struct OperationsServer: Service {
    /// The address cannot be listened on.
    public struct BindError: Error, CustomStringConvertible {
        public let description: String
    }

    private let host: String
    private let port: Int
    private let health: HealthRegistry
    private let metrics: PrometheusMetrics
    private let logger: Logger
    private let onListening: @Sendable (Int) -> Void

    /// - Parameters:
    ///   - port: 0 for any free one.
    ///   - onListening: called once with the port that is listened on.
    public init(
        host: String, port: Int, health: HealthRegistry, metrics: PrometheusMetrics, logger: Logger,
        onListening: @escaping @Sendable (Int) -> Void = { _ in }
    ) {
        self.host = host
        self.port = port
        self.health = health
        self.metrics = metrics
        self.logger = logger
        self.onListening = onListening
        Self.limitThreads
    }

    /// One thread is enough for a scrape every few seconds; NIO would start one a core. It may be told only once.
    private static let limitThreads: Void = {
        NIOSingletons.groupLoopCountSuggestion = 1
        NIOSingletons.blockingPoolThreadCountSuggestion = 1
    }()

    /// Serves until the process stops.
    ///
    /// - Throws: ``BindError``.
    public func run() async throws {
        // What goes wrong with a scrape is the scraper's business, and a stop is no error.
        let serverLogger = Logger(label: logger.label) { _ in SwiftLogNoOpLogHandler() }
        let application = Application(
            router: router(),
            configuration: ApplicationConfiguration(address: .hostname(host, port: port)),
            onServerRunning: { [logger, host, port, onListening] channel in
                let actual = channel.localAddress?.port ?? port
                logger.info("serving health and metrics", metadata: ["address": "\(host):\(actual)"])
                onListening(actual)
            },
            logger: serverLogger)
        do {
            try await application.run()
        } catch let error as IOError {
            throw BindError(description: "cannot listen on \(host):\(port): \(error)")
        }
    }

    private func router() -> Router<BasicRequestContext> {
        let router = Router()
        router.get("/health/live") { [health] _, _ in Self.answer(health.live()) }
        router.get("/health/ready") { [health] _, _ in Self.answer(health.ready()) }
        router.get("/metrics") { [metrics] _, _ in
            Self.text(metrics.exposition(), .ok, type: "text/plain; version=0.0.4; charset=utf-8")
        }
        return router
    }

    private static func answer(_ report: HealthRegistry.Report) -> Response {
        let body = report.isGood ? "ok\n" : report.problems.map { $0 + "\n" }.joined()
        return text(body, report.isGood ? .ok : .serviceUnavailable, type: "text/plain; charset=utf-8")
    }

    private static func text(_ body: String, _ status: HTTPResponse.Status, type: String) -> Response {
        Response(
            status: status, headers: [.contentType: type, .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: body)))
    }
}

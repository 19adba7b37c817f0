internal import Dispatch
internal import Logging
internal import NIOCore
internal import StreamCore
internal import Synchronization
internal import Traces
internal import Tracing

/// The objects that all connections of a server share.
final class HTTPServerContext: Sendable {
    let configuration: HTTPServerConfiguration
    let routes: HTTPRoutes
    private let liveLimits: Live<HTTPLimits>
    let admission: Admission
    /// nil if the `Host` of requests is not checked.
    let hosts: HostPolicy?
    /// nil if no pages of other origins may send requests.
    let origins: CrossOriginPolicy?
    let fields: ResponseFields
    let metrics: HTTPMetrics
    let failures: FailureLog
    /// Nil if requests are not traced.
    let tracer: (any Tracer)?
    /// The requests that are being answered.
    let requests = DispatchGroup()
    private let executors: [ObjectIdentifier: EventLoopExecutor]
    private let isHurried = Mutex(false)

    init(
        _ configuration: HTTPServerConfiguration, routes: HTTPRoutes, on group: any EventLoopGroup, logger: Logger
    ) {
        self.configuration = configuration
        self.routes = routes
        metrics = HTTPMetrics(configuration.name, templates: routes.now.templates)
        liveLimits = configuration.liveLimits ?? Live(HTTPLimits(configuration))
        admission = Admission(configuration, liveLimits, metrics)
        hosts =
            configuration.checksHosts && configuration.tokens == nil
            ? HostPolicy(bound: configuration.host, allowed: configuration.allowedHosts) : nil
        origins = CrossOriginPolicy(configuration.allowedOrigins)
        fields = ResponseFields(configuration)
        failures = FailureLog(logger)
        tracer = configuration.isTraced ? InstrumentationSystem.activeTracer : nil
        executors = Dictionary(
            uniqueKeysWithValues: group.makeIterator().map { (ObjectIdentifier($0), EventLoopExecutor($0)) })
    }

    func executor(of eventLoop: any EventLoop) -> EventLoopExecutor? { executors[ObjectIdentifier(eventLoop)] }

    /// The limits that may change while the server runs.
    var limits: HTTPLimits { liveLimits.now }

    /// Maximum time that a connection may continue after a stop.
    var drainLimitMs: Int { isHurried.withLock { $0 } ? 0 : limits.drainTimeoutMs }

    /// Waits until no request is being answered.
    func requestsEnded() async {
        await withCheckedContinuation { continuation in
            requests.notify(queue: .global()) { continuation.resume() }
        }
    }

    /// Ends all connections at once, because the server was cancelled instead of stopped.
    func hurry() { isHurried.withLock { $0 = true } }
}

internal import HummingbirdCore
internal import Logging
internal import NIOCore
internal import Synchronization
internal import Traces
internal import Tracing

/// What all connections of a server share.
final class HTTPServerContext: Sendable {
    let configuration: HTTPServerConfiguration
    let routes: RouteTable
    let admission: Admission
    /// Nil when the `Host` of requests need not be looked at.
    let hosts: HostPolicy?
    /// Nil when no page of another origin may ask.
    let origins: CrossOriginPolicy?
    let fields: ResponseFields
    let metrics: HTTPMetrics
    let failures: FailureLog
    /// Nil if requests are not traced.
    let tracer: (any Tracer)?
    private let executors: [ObjectIdentifier: EventLoopExecutor]
    private let drainLimit: Mutex<Int>

    init(
        _ configuration: HTTPServerConfiguration, routes: [HTTPRoute], on group: any EventLoopGroup, logger: Logger
    ) {
        self.configuration = configuration
        self.routes = RouteTable(routes)
        metrics = HTTPMetrics(configuration.name, templates: self.routes.templates)
        admission = Admission(configuration, metrics)
        hosts =
            configuration.checksHosts && configuration.tokens == nil
            ? HostPolicy(bound: configuration.host, allowed: configuration.allowedHosts) : nil
        origins = CrossOriginPolicy(configuration.allowedOrigins)
        fields = ResponseFields(configuration)
        failures = FailureLog(logger)
        tracer = configuration.isTraced ? InstrumentationSystem.activeTracer : nil
        executors = Dictionary(
            uniqueKeysWithValues: group.makeIterator().map { (ObjectIdentifier($0), EventLoopExecutor($0)) })
        drainLimit = Mutex(configuration.drainTimeoutMs)
    }

    func executor(of eventLoop: any EventLoop) -> EventLoopExecutor? { executors[ObjectIdentifier(eventLoop)] }

    /// How long a stop lets a connection go on.
    var drainLimitMs: Int { drainLimit.withLock { $0 } }

    /// Nobody waits for a server that is cancelled rather than stopped.
    func hurry() { drainLimit.withLock { $0 = 0 } }
}

/// Hummingbird's child channel with the connection's limits in front, its tasks on the thread of the connection.
struct LimitedChannel<Base: ServerChildChannel>: ServerChildChannel {
    let base: Base
    let server: HTTPServerContext

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Base.Value> {
        let limit: NIOLoopBound<ConnectionLimit>
        do {
            limit = try ConnectionLimit.install(on: channel, server)
        } catch {
            return channel.eventLoop.makeFailedFuture(error)
        }
        return base.setup(channel: channel, logger: logger).map { value in
            limit.value.held = value
            return value
        }
    }

    func handle(value: Base.Value, logger: Logger) async {
        await withTaskExecutorPreference(server.executor(of: value.channel.eventLoop)) {
            await base.handle(value: value, logger: logger)
        }
    }
}

public import Daemon
public import HTTP
internal import Logging
internal import Operations
public import ServiceLifecycle

extension HTTPServer {
    /// Creates the server of a daemon. Its threads are watched, and the daemon becomes ready when the server listens.
    public static func watched(
        _ configuration: HTTPServerConfiguration, routes: HTTPRoutes, in context: DaemonContext
    ) -> HTTPServer {
        let (health, condition) = (context.health, "http")
        health.notReady(condition, because: "does not listen yet")
        let threads = (0..<configuration.threads).map {
            health.watch(.loop, "http loop \($0)", limit: context.stallAfter + HTTPServerConfiguration.turnInterval)
        }
        for thread in threads { thread.turned(to: .working) }
        var configuration = configuration
        configuration.onTurn = { threads[$0].progressed() }
        configuration.isTraced = true
        if configuration.tokens != nil {
            let tokens = health.watch(
                .loop, "token loop", limit: context.stallAfter + HTTPServerConfiguration.turnInterval)
            tokens.turned(to: .working)
            configuration.onTokensRead = { tokens.progressed() }
        }
        return HTTPServer(configuration: configuration, routes: routes, logger: context.logger) { _ in
            health.ready(condition)
        }
    }

    /// Serves until the task is cancelled. Then the server stops first and answers all requests in progress. After
    /// that, `work` ends.
    public func serve(before work: any Service) async throws {
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [.init(service: work), .init(service: self)], logger: .quiet))
        // A cancelled task could not finish a request, so the cancellation is passed on as a graceful stop. The task
        // ends with this call.
        let running = Task.detached { try await group.run() }
        try await withTaskCancellationHandler {
            try await running.value
        } onCancel: {
            Task { await group.triggerGracefulShutdown() }
        }
    }
}

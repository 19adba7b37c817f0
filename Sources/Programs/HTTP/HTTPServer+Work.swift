internal import Daemon
public import HTTP
internal import Logging
public import ServiceLifecycle

extension HTTPServer {
    /// Serves until the task is cancelled. Then the server stops first: requests are answered to the end, and after
    /// that the work behind them ends.
    public func serve(before work: any Service) async throws {
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [.init(service: work), .init(service: self)], logger: .quiet))
        // A cancelled task could not finish a single request: the stop is handed on as a stop. The task ends with
        // this call.
        let running = Task.detached { try await group.run() }
        try await withTaskCancellationHandler {
            try await running.value
        } onCancel: {
            Task { await group.triggerGracefulShutdown() }
        }
    }
}

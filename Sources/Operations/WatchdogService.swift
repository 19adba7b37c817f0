public import Logging
public import ServiceLifecycle

/// Tells systemd how the process is: feeds its watchdog as long as all loops move, and says in its status whether the
/// process is ready and what is missing. What does not move is also said once in the log.
public struct WatchdogService: Service {
    private let health: HealthRegistry
    private let notifier: SystemdNotifier
    private let logger: Logger

    public init(health: HealthRegistry, notifier: SystemdNotifier, logger: Logger) {
        self.health = health
        self.notifier = notifier
        self.logger = logger
    }

    /// Looks at the health once a second, or at half the watchdog's interval, until the process stops.
    public func run() async throws {
        let start = ContinuousClock.now
        // Thrown by the sleep when the process stops, which is how this loop ends.
        try? await cancelWhenGracefulShutdown {
            var reports = SupervisorReports(watchdogInterval: notifier.watchdogInterval)
            var reported: [String] = []
            while true {
                let live = health.live()
                for message in reports.looked(live: live, ready: health.ready(), now: ContinuousClock.now - start) {
                    send(message)
                }
                if live.problems != reported { log(live, before: reported) }
                reported = live.problems
                try await Task.sleep(for: reports.lookInterval)
            }
        }
    }

    private func send(_ message: SupervisorReports.Message) {
        switch message {
        case .alive: notifier.alive()
        case .status(let text): notifier.status(text)
        }
    }

    private func log(_ report: HealthRegistry.Report, before: [String]) {
        if report.isGood {
            logger.notice("all loops make progress again")
        } else if before.isEmpty {
            logger.error("stalled", metadata: ["loops": .array(report.problems.map { .string($0) })])
        }
    }
}

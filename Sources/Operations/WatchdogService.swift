public import Logging
public import ServiceLifecycle

/// Reports the health of the process to systemd. It notifies the watchdog while all loops make progress, and sets a
/// status line that says whether the process is ready or what is missing. A stall is logged once.
public struct WatchdogService: Service {
    private let health: HealthRegistry
    private let notifier: SystemdNotifier
    private let logger: Logger

    public init(health: HealthRegistry, notifier: SystemdNotifier, logger: Logger) {
        self.health = health
        self.notifier = notifier
        self.logger = logger
    }

    /// Checks the health once a second, or twice in each interval of the watchdog, until the process stops.
    public func run() async throws {
        let start = ContinuousClock.now
        // The loop ends when the process stops, because the sleep then throws.
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

public import Logging
public import ServiceLifecycle

/// Feeds systemd's watchdog as long as all loops move, and says once in the log when they do not.
public struct WatchdogService: Service {
    private let health: HealthRegistry
    private let notifier: SystemdNotifier
    private let logger: Logger

    public init(health: HealthRegistry, notifier: SystemdNotifier, logger: Logger) {
        self.health = health
        self.notifier = notifier
        self.logger = logger
    }

    /// Looks at the loops at half the watchdog's interval, or every five seconds, until the process stops.
    public func run() async throws {
        let interval = notifier.watchdogInterval.map { $0 / 2 } ?? .seconds(5)
        // Thrown by the sleep when the process stops, which is how this loop ends.
        try? await cancelWhenGracefulShutdown {
            var reported: [String] = []
            while true {
                let report = health.live()
                if report.isGood { notifier.alive() }
                if report.problems != reported { log(report, before: reported) }
                reported = report.problems
                try await Task.sleep(for: interval)
            }
        }
    }

    private func log(_ report: HealthRegistry.Report, before: [String]) {
        if report.isGood {
            logger.notice("all loops move again")
        } else if before.isEmpty {
            logger.error("stalled", metadata: ["loops": .array(report.problems.map { .string($0) })])
        }
    }
}

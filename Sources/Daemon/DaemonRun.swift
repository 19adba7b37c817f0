internal import CoreMetrics
internal import Kafka
public import Logging
internal import Operations
internal import ServiceLifecycle

/// A daemon's life: health and metrics are served, the database is waited for, the program works until a signal.
struct DaemonRun<Program: DaemonProgram> {
    let settings: DaemonSettings<Program>
    /// What was found while the settings were read.
    let warnings: [String]
    let environment: [String: String]
    private let reloads = ReloadRequests()

    init(settings: DaemonSettings<Program>, warnings: [String], environment: [String: String]) {
        self.settings = settings
        self.warnings = warnings
        self.environment = environment
    }

    func run() async -> DaemonExit {
        let log = settings.log
        LoggingSystem.bootstrap { LineLogHandler(label: $0, level: log.level, format: log.format) }
        let metrics = PrometheusMetrics(help: Program.metricHelp.merging(DaemonMetrics.help) { own, _ in own })
        MetricsSystem.bootstrap(metrics)
        DaemonMetrics.showBuild(of: Program.name)
        let logger = Logger(label: Program.name)
        let notifier = SystemdNotifier(environment: environment)
        let health = HealthRegistry()
        // Stopped in the reverse order: health is served to the end.
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [
                    service(
                        OperationsServer(
                            host: settings.operations.host, port: settings.operations.port, health: health,
                            metrics: metrics, logger: logger)),
                    service(measurements(logger)),
                    service(WatchdogService(health: health, notifier: notifier, logger: logger)),
                    service(work(health, notifier, logger)),
                ],
                logger: .quiet))
        let stopTimeout = settings.operations.stopTimeout
        let signals = StopSignals(timeout: stopTimeout, logger: logger) {
            notifier.stopping(within: stopTimeout + .seconds(5))
            health.notReady("process", because: "stopping")
            // An unstructured task, because a signal arrives outside of all tasks.
            Task { await group.triggerGracefulShutdown() }
        }
        signals.listen()
        if Program.reloadsFiles { reloads.listen(logger: logger) }
        for warning in warnings { logger.warning("\(warning)") }
        logger.notice("starting", metadata: ["stop_timeout": "\(stopTimeout)"])
        do {
            try await group.run()
            logger.notice("stopped")
            return .ok
        } catch {
            let exit = DaemonExit(error)
            logger.critical("ended", metadata: ["error": "\(error)", "exit_code": "\(exit.rawValue)"])
            return exit
        }
    }

    private func service(_ service: some Service) -> ServiceGroupConfiguration.ServiceConfiguration {
        ServiceGroupConfiguration.ServiceConfiguration(
            service: service, successTerminationBehavior: .gracefullyShutdownGroup,
            failureTerminationBehavior: .gracefullyShutdownGroup)
    }

    private func measurements(_ logger: Logger) -> some Service {
        TableStatistics(
            tables: Program.measuredTables(for: settings.feature), postgres: settings.postgres.configuration,
            logger: logger)
    }

    private func work(_ health: HealthRegistry, _ notifier: SystemdNotifier, _ logger: Logger) -> some Service {
        var kafka = settings.kafka.configuration
        let lines = KafkaLogLines(logger)
        kafka.log = { lines.write($0, $1, $2) }
        return DaemonWork<Program>(
            postgres: settings.postgres.configuration, kafka: kafka, feature: settings.feature, health: health,
            logger: logger, stallAfter: settings.operations.stallAfter, notifier: notifier, reloads: reloads)
    }
}

extension Logger {
    /// Writes nothing.
    public static var quiet: Logger { Logger(label: "quiet") { _ in SwiftLogNoOpLogHandler() } }
}

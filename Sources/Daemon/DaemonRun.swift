internal import CoreMetrics
internal import Kafka
public import Logging
internal import Operations
internal import ServiceLifecycle
internal import Settings
internal import StreamCore

/// Runs a daemon: it serves health and metrics, waits for the database, and runs the program until a signal.
struct DaemonRun<Program: DaemonProgram> {
    let settings: DaemonSettings<Program>
    /// The warnings from reading the settings.
    let warnings: [String]
    let environment: [String: String]
    /// The sources from which the settings are read again, and the settings that were read.
    let sources: SettingsSources
    let shown: ShownSettings
    private let requests = ReloadRequests()
    private let files = ReloadedFiles()

    init(_ loaded: LoadedSettings<DaemonSettings<Program>>, from sources: SettingsSources) {
        settings = loaded.settings
        warnings = loaded.warnings
        shown = loaded.shown
        environment = sources.environment
        self.sources = sources
    }

    func run() async -> DaemonExit {
        let log = settings.log
        let level = Live(log.level)
        LoggingSystem.bootstrap { LineLogHandler(label: $0, level: level, format: log.format) }
        let metrics = PrometheusMetrics(help: Program.metricHelp.merging(DaemonMetrics.help) { own, _ in own })
        MetricsSystem.bootstrap(metrics)
        DaemonMetrics.showBuild(of: Program.name)
        let logger = Logger(label: Program.name)
        let notifier = SystemdNotifier(environment: environment)
        let health = HealthRegistry()
        let spans = DaemonTracing.start(settings.tracing, of: Program.name, logger)
        // The services stop in reverse order, so health is served until the end, and spans are exported until the work
        // has ended.
        let services = [
            service(
                OperationsServer(
                    host: settings.operations.host, port: settings.operations.port, health: health,
                    metrics: metrics, stallAfter: settings.operations.stallAfter, logger: logger)),
            spans.map { service($0) },
            service(measurements(health, logger)),
            service(reload(level, health, logger)),
            service(WatchdogService(health: health, notifier: notifier, logger: logger)),
            service(work(health, notifier, logger)),
        ]
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(services: services.compactMap(\.self), logger: .quiet))
        let stopTimeout = settings.operations.stopTimeout
        let signals = StopSignals(timeout: stopTimeout, logger: logger) {
            notifier.stopping(within: stopTimeout + .seconds(5))
            health.notReady("process", because: "stopping")
            // The task is unstructured, because a signal arrives outside of all tasks.
            Task { await group.triggerGracefulShutdown() }
        }
        signals.listen()
        requests.listen(logger: logger)
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

    private func reload(
        _ level: Live<Logger.Level>, _ health: HealthRegistry, _ logger: Logger
    ) -> some Service {
        DaemonReload<Program>(
            sources: sources, requests: requests, files: files, feature: settings.feature, logLevel: level,
            shown: shown, health: health, stallAfter: settings.operations.stallAfter, logger: logger)
    }

    private func measurements(_ health: HealthRegistry, _ logger: Logger) -> some Service {
        TableStatistics(
            tables: Program.measuredTables(for: settings.feature), postgres: settings.postgres.configuration,
            logger: logger, health: health, stallAfter: settings.operations.stallAfter)
    }

    private func work(_ health: HealthRegistry, _ notifier: SystemdNotifier, _ logger: Logger) -> some Service {
        var kafka = settings.kafka.configuration
        let lines = KafkaLogLines(logger)
        kafka.log = { lines.write($0, $1, $2) }
        return DaemonWork<Program>(
            postgres: settings.postgres.configuration, kafka: kafka, feature: settings.feature, health: health,
            logger: logger, stallAfter: settings.operations.stallAfter, notifier: notifier, files: files)
    }
}

extension Logger {
    /// A logger that writes nothing.
    public static var quiet: Logger { Logger(label: "quiet") { _ in SwiftLogNoOpLogHandler() } }
}

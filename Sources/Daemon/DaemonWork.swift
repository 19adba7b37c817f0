internal import CoreMetrics
internal import Kafka
internal import Logging
internal import Operations
internal import Postgres
internal import ServiceLifecycle
internal import Synchronization

/// Runs the program's work: waits for the database, works, and starts again after a failure of a server.
struct DaemonWork<Program: DaemonProgram>: Service {
    let postgres: PostgresConfiguration
    let kafka: KafkaClientConfiguration
    let feature: Program.Feature
    let health: HealthRegistry
    let logger: Logger
    let stallAfter: Duration
    let notifier: SystemdNotifier
    let files: ReloadedFiles

    private let failures = Counter(label: "millrace_work_failures_total")

    init(
        postgres: PostgresConfiguration, kafka: KafkaClientConfiguration, feature: Program.Feature,
        health: HealthRegistry, logger: Logger, stallAfter: Duration, notifier: SystemdNotifier,
        files: ReloadedFiles
    ) {
        self.postgres = postgres
        self.kafka = kafka
        self.feature = feature
        self.health = health
        self.logger = logger
        self.stallAfter = stallAfter
        self.notifier = notifier
        self.files = files
        failures.increment(by: 0)
    }

    func run() async throws {
        // For systemd the daemon has started. The daemon does not control how long the database takes, and a restart
        // would not help.
        notifier.ready()
        health.notReady("database", because: "not reached yet")
        try await cancelWhenGracefulShutdown { try await workUntilCancelled() }
    }

    private func workUntilCancelled() async throws {
        let supervision = Mutex(WorkSupervision())
        let started: @Sendable () -> Void = { [health] in
            supervision.withLock { $0.started() }
            health.ready("work")
        }
        while true {
            do {
                return try await workOnce(started)
            } catch {
                if Task.isCancelled {
                    if WorkSupervision.isStop(error) { return }
                    // A failed shutdown ends the daemon with its error.
                    throw error
                }
                health.endWork()
                guard case .retry(let delay) = supervision.withLock({ $0.failed(error) }) else { throw error }
                health.notReady("work", because: "failed: \(error)")
                failures.increment()
                logger.error(
                    "the work failed and starts again", metadata: ["error": "\(error)", "again_after": "\(delay)"])
                do { try await Task.sleep(for: delay) } catch { return }
            }
        }
    }

    /// Runs the work once. Returns only after a cancellation.
    private func workOnce(_ started: @escaping @Sendable () -> Void) async throws {
        let readiness = DatabaseReadiness(
            postgres: postgres, catalog: Program.migrations, migrationSets: Program.migrationSets(for: feature),
            logger: logger)
        let waiting = health.watch(.loop, "start loop", limit: stallAfter)
        waiting.turned(to: .working)
        defer { waiting.end() }
        do {
            try await readiness.pass {
                health.begun()
                waiting.progressed()
            }
        } catch {
            if Task.isCancelled { return }
            throw error
        }
        waiting.end()
        health.ready("database")
        files.forget()
        let context = DaemonContext(
            postgres: postgres, kafka: kafka, health: health.beginWork(), logger: logger, stallAfter: stallAfter,
            started: started, files: files)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            if Program.needsKafka {
                let brokers = BrokerWatch(kafka: kafka, health: context.health, stallAfter: stallAfter)
                tasks.addTask { await brokers.run() }
            }
            defer { tasks.cancelAll() }
            try await Program.run(feature, in: context)
        }
        if !Task.isCancelled { throw EndedByItself() }
    }
}

/// The program returned without a request to stop.
private struct EndedByItself: Error, CustomStringConvertible {
    var description: String { "the work ended without a request to stop" }
}

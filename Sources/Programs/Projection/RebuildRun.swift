public import Kafka
public import Logging
public import Postgres
public import Projections
public import ReadModels
public import StreamCore
internal import Synchronization

/// Fills the version that is being built, with several runners that share its partitions. It keeps the version current
/// until it is promoted or aborted.
public struct RebuildRun: Sendable {
    /// The options of a run.
    public struct Options: Sendable {
        /// Number of runners that share the partitions. Each has its own connection and consumer.
        public var workers = 2
        /// The suffix of the topics' names.
        public var topicSuffix = "-events"
        /// Whether the run ends when the version has applied all records that existed at the start, and all that the
        /// live version has applied.
        public var endsWhenCaughtUp = false

        public init() {}
    }

    /// The reason why a run ended.
    public enum End: Sendable, Equatable {
        case caughtUp
        /// The daemons maintain the version from now on.
        case promoted
        case aborted
    }

    /// An event cannot be applied, so the version would be incomplete.
    public struct BadEvent: Error, Sendable, CustomStringConvertible, RemediableError {
        public let stopped: StoppedPartition
        public var remedy: Remedy { .changeSetup }
        public var description: String {
            let place = "\(stopped.partition) at offset \(stopped.offset)"
            guard case .failedEvent(_, let failure) = stopped.reason else {
                return "the rebuild stopped in \(place): \(stopped.errorClass)"
            }
            let id = failure.eventID.map { " (event \($0))" } ?? ""
            return """
                the rebuild stopped before an event that cannot be applied, in \(place)\(id): \(failure). Correct the \
                release, or edit or discard the event's dead letter in the live version. Then start the rebuild again; \
                it continues where it stopped
                """
        }
    }

    private let projection: VersionedProjection
    private let rebuild: Rebuild
    private let postgres: PostgresConfiguration
    private let kafka: KafkaClientConfiguration
    private let logger: Logger
    private let options: Options

    private static var interval: Duration { .milliseconds(500) }

    public init(
        _ projection: VersionedProjection, postgres: PostgresConfiguration, kafka: KafkaClientConfiguration,
        logger: Logger, options: Options
    ) {
        self.projection = projection
        self.postgres = postgres
        self.kafka = kafka
        self.logger = logger
        self.options = options
        rebuild = Rebuild(projection.model, postgres)
    }

    /// Runs until the end, or until the task is cancelled.
    ///
    /// - Parameter onProgress: called twice a second.
    /// - Returns: nil if the task was cancelled.
    /// - Throws: ``BadEvent``; the errors of `ProjectionRunner.run()`.
    public func run(
        _ version: ModelVersion, onProgress: @escaping @Sendable (RebuildProgress) -> Void
    ) async throws -> End? {
        let observer = StopObserver()
        let service = try await rebuild.service(of: version)
        let pace = version.recordsPerSecond.map { RecordPace(perSecond: $0) }
        return try await withThrowingTaskGroup(of: End?.self) { group in
            for _ in 0..<options.workers {
                group.addTask {
                    try await projection.run(work(version, service, pace, observer))
                    return nil
                }
            }
            group.addTask { try await watch(version, observer, onProgress) }
            defer { group.cancelAll() }
            // The first task that ends determines the result: the watch of the version, a failed runner, or the
            // cancellation.
            guard let end = try await group.next() else { return nil }
            group.cancelAll()
            try await group.waitForAll()
            return end
        }
    }

    private func work(
        _ version: ModelVersion, _ service: String, _ pace: RecordPace?, _ observer: StopObserver
    ) -> VersionedProjection.Run {
        var configuration = ProjectionRunnerConfiguration(service: service)
        configuration.onFailure = .stop
        configuration.pace = pace
        return VersionedProjection.Run(
            version: version.version, topicSuffix: options.topicSuffix, configuration: configuration,
            postgres: projection.model.tables.sees(postgres, version.schema), kafka: kafka, logger: logger,
            observer: observer)
    }

    private func watch(
        _ version: ModelVersion, _ observer: StopObserver, _ onProgress: @escaping @Sendable (RebuildProgress) -> Void
    ) async throws -> End? {
        while !Task.isCancelled {
            if let stopped = observer.stopped { throw BadEvent(stopped: stopped) }
            do {
                if let end = try await look(version, onProgress) { return end }
            } catch let error as PostgresError where error.kind == .transient {
                // The runners wait for the database too.
            }
            // A cancellation ends the wait early, and then the loop.
            try? await Task.sleep(for: Self.interval)
        }
        return nil
    }

    private func look(
        _ version: ModelVersion, _ onProgress: @escaping @Sendable (RebuildProgress) -> Void
    ) async throws -> End? {
        try await rebuild.withConnection { connection in
            let versions = try await VersionTable.versions(of: version.name, on: connection)
            guard let current = versions.first(where: { $0.version == version.version }) else { return .aborted }
            guard current.state == .building else { return .promoted }
            let progress = try await rebuild.progress(of: version, on: connection)
            onProgress(progress)
            let isCaughtUp = progress.hasReachedEnds && progress.behindLive == 0
            return options.endsWhenCaughtUp && isCaughtUp ? .caughtUp : nil
        }
    }
}

/// Stores the first partition that stopped.
private final class StopObserver: ProjectionObserver {
    private let first = Mutex<StoppedPartition?>(nil)

    var stopped: StoppedPartition? { first.withLock { $0 } }

    func partitionStopped(_ stopped: StoppedPartition) {
        first.withLock { $0 = $0 ?? stopped }
    }

    func loopTurned() {}
    func assignmentBegan() {}
    func assignmentEnded() {}
    func partition(_ partition: TopicPartition, isAt next: Int64, of end: Int64?) {}
    func partition(_ partition: TopicPartition, isHeldBy hold: PartitionHold, because reason: String) {}
    func partition(_ partition: TopicPartition, isNoLongerHeldBy hold: PartitionHold) {}
    func databaseFailing(because reason: String) {}
    func databaseRecovered() {}
    func partitionReleased(_ partition: TopicPartition) {}
}

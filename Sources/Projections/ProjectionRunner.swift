public import Kafka
public import Logging
public import Postgres
internal import StreamCore

/// Keeps one read model up to date from Kafka. Each event takes effect exactly once, in the order of its aggregate.
///
/// The path of a record (`RecordWay.swift`): consumer → batch → decode → parked events → duplicates → apply → letters →
/// commit. All steps after `decode` are one transaction with the offsets. A state machine (`RunnerState.swift`) decides
/// the reaction to each failure and to each change of the assignment.
///
/// An event that can never be applied stops its partition or becomes a dead letter, by
/// ``ProjectionRunnerConfiguration/onFailure``.
///
/// The offsets in PostgreSQL (`projection_offsets`) decide where reading begins. Kafka's committed offsets are a copy
/// for lag tools and are never read. A new partition begins at offset 0. If Kafka no longer has the next offset, or has
/// another record than the last applied one, the partition stops or continues by
/// ``ProjectionRunnerConfiguration/onTruncatedHistory``.
///
/// Any number of runners of one projection may run, in one process or many. They share the partitions as a consumer
/// group. A runner that has lost a partition without knowing it cannot commit, because the offsets differ from those
/// that it expects.
public struct ProjectionRunner<P: Projection>: Sendable {
    private let projection: P
    private let configuration: ProjectionRunnerConfiguration
    private let postgres: PostgresConfiguration
    private let kafka: KafkaClientConfiguration
    private let logger: Logger
    private let observer: (any ProjectionObserver)?
    private let onCommit: @Sendable () -> Void

    /// Maximum time in milliseconds for leaving the group.
    private static var closeTimeoutMs: Int32 { 5_000 }

    /// Limits the records fetched ahead. The consumer's own configuration may override it.
    private static var consumerDefaults: [String: String] {
        ["queued.max.messages.kbytes": "8192", "fetch.max.bytes": "8388608"]
    }

    /// - Parameters:
    ///   - projection: the read model.
    ///   - configuration: the settings of the runner.
    ///   - postgres: the database of the read model.
    ///   - kafka: the Kafka cluster.
    ///   - logger: receives the log lines.
    ///   - observer: receives the progress of each partition; nil for none.
    ///   - onCommit: called after each committed transaction, by the runner's loop, so it must return at once.
    public init(
        projection: P, configuration: ProjectionRunnerConfiguration, postgres: PostgresConfiguration,
        kafka: KafkaClientConfiguration, logger: Logger, observer: (any ProjectionObserver)? = nil,
        onCommit: @escaping @Sendable () -> Void = {}
    ) {
        self.projection = projection
        self.configuration = configuration
        self.postgres = postgres
        self.kafka = kafka
        self.logger = logger
        self.observer = observer
        self.onCommit = onCommit
    }

    /// Runs until the task is cancelled. It then shuts down gracefully: it takes no more records, commits those that it
    /// has taken, leaves the group and returns without an error.
    ///
    /// If the database or the cluster is unavailable, the runner waits for it, at the start and later.
    ///
    /// - Throws: ``ProjectionError`` if the run cannot continue; `KafkaError` if the client's configuration is wrong.
    public func run() async throws {
        let problems = configuration.validate()
        if !problems.isEmpty { throw ProjectionError.configuration(problems) }
        var kafka = kafka
        kafka.properties.merge(Self.consumerDefaults) { given, _ in given }
        let group = configuration.consumerGroup(of: projection)
        let consumer = try Consumer(kafka, group: group, instance: configuration.instanceID, tellsEnds: true)
        let route = configuration.route
        let parking = route.map { route in
            Parking(
                sender: LetterSender(consumer: projection.name, group: group, route: route), kafka: self.kafka)
        }
        let writer = BatchWriter(
            projection, postgres, consumerGroup: group, retentionDays: configuration.processedEventsRetentionDays,
            notifyChannel: configuration.notifyChannel, parking: parking)
        let intake = Intake(
            projection: projection, consumer: consumer,
            batches: configuration.liveBatches ?? Live(configuration.batches),
            pace: configuration.pace, settings: configuration.stateSettings, route: route, group: group)
        let (stops, stop) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

        // Cancelling must end the run gracefully, but a cancelled task can neither finish a transaction nor wait. So
        // the work is a separate task that lives as long as this function, and the cancellation arrives as a request.
        let work = Task { [configuration, logger, observer, onCommit] in
            try await Self.run(
                intake, writer, until: stops, settings: configuration.stateSettings,
                telemetry: ProjectionTelemetry(projection: projection, logger: logger, observer: observer),
                onCommit: onCommit)
        }
        try await withTaskCancellationHandler {
            try await work.value
        } onCancel: {
            stop.yield()
        }
    }

    private static func run(
        _ intake: Intake<P>, _ writer: BatchWriter<P>, until stops: AsyncStream<Void>,
        settings: RunnerState.Settings, telemetry: sending ProjectionTelemetry, onCommit: @escaping @Sendable () -> Void
    ) async throws {
        let consumer = intake.consumer
        var loop = RunnerLoop(
            intake: intake, writer: writer, settings: settings, telemetry: telemetry, onCommit: onCommit)
        let outcome: Result<Void, any Error>
        do {
            let retries = intake.route.map { [$0.retryTopic] } ?? []
            try await consumer.subscribe(intake.projection.topics + retries)
            try await loop.run(until: stops)
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        await writer.close()
        // This is only a copy. If it fails, lag tools show an old number until the next copy.
        try? consumer.commitLater(loop.uncopiedOffsets)
        _ = await consumer.close(timeoutMs: closeTimeoutMs)
        try outcome.get()
    }
}

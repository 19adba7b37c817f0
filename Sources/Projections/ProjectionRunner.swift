public import Kafka
public import Logging
public import Postgres
internal import StreamCore

/// Keeps one read model up to date from Kafka: each event takes effect exactly once, in the order of its aggregate.
///
/// A record's way (`RecordWay.swift`): consumer → batch → decode → what is parked → duplicates → apply → letters →
/// commit. All behind `decode` is one transaction with the offsets. What goes wrong on this way, and every change of
/// the assignment, is decided by a state machine (`RunnerState.swift`).
///
/// An event that can never be applied stops its partition or becomes a dead letter, by
/// ``ProjectionRunnerConfiguration/onFailure``.
///
/// The offsets in PostgreSQL (`projection_offsets`) say where to begin. Kafka's committed offsets are a copy, made
/// afterwards for lag tools, and never read. A partition seen for the first time begins at offset 0; when Kafka no
/// longer has that, or no longer has the offset that comes next, or has another record where the last one applied was,
/// the partition stops or goes on by ``ProjectionRunnerConfiguration/onTruncatedHistory``.
///
/// Any number of runners of one projection may run, in one process or many: they share the partitions as a consumer
/// group. A runner that lost a partition without knowing cannot commit, since it expects other offsets than there are.
public struct ProjectionRunner<P: Projection>: Sendable {
    private let projection: P
    private let configuration: ProjectionRunnerConfiguration
    private let postgres: PostgresConfiguration
    private let kafka: KafkaClientConfiguration
    private let logger: Logger
    private let observer: (any ProjectionObserver)?
    private let onCommit: @Sendable () -> Void

    /// Milliseconds that leaving the group may take.
    private static var closeTimeoutMs: Int32 { 5_000 }

    /// What keeps the records fetched ahead within bounds; the consumer's own configuration may say otherwise.
    private static var consumerDefaults: [String: String] {
        ["queued.max.messages.kbytes": "8192", "fetch.max.bytes": "8388608"]
    }

    /// - Parameters:
    ///   - observer: hears of progress, partition by partition; nil for nobody.
    ///   - onCommit: called after each transaction that is known to be committed, from the runner's loop, so it must
    ///     return at once.
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

    /// Runs until the task is cancelled, which stops it gracefully: no more is taken, what was taken is committed, the
    /// group is left, and this returns without an error.
    ///
    /// A database or a cluster that is away is waited for, from the start and at any time.
    ///
    /// - Throws: ``ProjectionError`` when going on makes no sense; `KafkaError` when the client's configuration is
    ///   wrong.
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
            parking: parking)
        let intake = Intake(
            projection: projection, consumer: consumer,
            limits: BatchLimits(
                maxRecords: configuration.batchMaxRecords, maxBytes: configuration.batchMaxBytes, maxWaitMs: 100,
                lingerMs: Int32(configuration.batchLingerMs)),
            settings: configuration.stateSettings, route: route, group: group)
        let (stops, stop) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

        // Cancelling must end the run in good order, and cancelled tasks can neither finish a transaction nor wait. So
        // the work is a task of its own, which lives as long as this function: the cancellation arrives as a request.
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
        // Only a copy: if it does not arrive, lag tools show an old number until somebody else writes a newer one.
        try? consumer.commitLater(loop.uncopiedOffsets)
        _ = await consumer.close(timeoutMs: closeTimeoutMs)
        try outcome.get()
    }
}

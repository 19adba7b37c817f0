public import Daemon
public import Kafka
public import Logging
public import Postgres
public import Projections
public import ReadModels
public import StreamCore

/// A projection whose read model has versions, for daemons, rebuilds and commands.
public struct VersionedProjection: Sendable {
    /// The parameters of a run.
    public struct Run: Sendable {
        public let version: Int
        /// The suffix of the topics' names.
        public var topicSuffix: String
        public var configuration: ProjectionRunnerConfiguration
        /// The database sessions. They use the version's schema first.
        public var postgres: PostgresConfiguration
        public var kafka: KafkaClientConfiguration
        public var logger: Logger
        public var observer: (any ProjectionObserver)?

        public init(
            version: Int, topicSuffix: String, configuration: ProjectionRunnerConfiguration,
            postgres: PostgresConfiguration, kafka: KafkaClientConfiguration, logger: Logger,
            observer: (any ProjectionObserver)? = nil
        ) {
            self.version = version
            self.topicSuffix = topicSuffix
            self.configuration = configuration
            self.postgres = postgres
            self.kafka = kafka
            self.logger = logger
            self.observer = observer
        }
    }

    public let model: ReadModel

    /// The tables of all versions, and those that all runners share.
    public var measuredTables: MeasuredTables {
        var tables = MeasuredTables.ofRunners
        // The program defines the name, which contains no quotes.
        tables.schemas = "SELECT schema_name FROM projection_versions WHERE name = '\(model.name)'"
        return tables
    }

    private let topicsOf: @Sendable (String) -> [String]
    private let start: @Sendable (Run, EventDecisions) async throws -> Void
    private let renew: (@Sendable (Run, EventDecisions, String, [TopicPartition: Int64]) async throws -> Int)?

    /// - Parameter make: creates the projection from the suffix of the topics and a version.
    public init<P: AggregateProjection>(_ model: ReadModel, _ make: @escaping @Sendable (String, Int) -> P) {
        self.model = model
        topicsOf = { make($0, 1).topics }
        start = { run, decisions in
            try await Self.runner(make(run.topicSuffix, run.version), decisions, run).run()
        }
        renew = { run, decisions, subject, starts in
            try await AggregateRebuild(
                projection: make(run.topicSuffix, run.version), decisions: decisions, postgres: run.postgres,
                kafka: run.kafka
            ).run(subject, from: starts)
        }
    }

    /// Creates a projection with only one version, whose topics have complete names.
    public init(_ model: ReadModel, only projection: some Projection) {
        self.model = model
        topicsOf = { _ in projection.topics }
        start = { run, decisions in try await Self.runner(projection, decisions, run).run() }
        renew = nil
    }

    private static func runner<P: Projection>(
        _ projection: P, _ decisions: EventDecisions, _ run: Run
    ) -> ProjectionRunner<DecidedProjection<P>> {
        ProjectionRunner(
            projection: DecidedProjection(projection, decisions), configuration: run.configuration,
            postgres: run.postgres, kafka: run.kafka, logger: run.logger, observer: run.observer)
    }

    /// The topics that the projection reads.
    public func topics(suffix: String) -> [String] { topicsOf(suffix) }

    /// Runs a version until the task is cancelled. It follows the decisions of operators about single events.
    ///
    /// - Throws: the errors of `ProjectionRunner.run()`; `PostgresError` if the decisions cannot be read.
    public func run(_ run: Run) async throws {
        try await start(run, try await decisions(run))
    }

    /// Rebuilds one aggregate of a version from its events in Kafka.
    ///
    /// - Parameters:
    ///   - aggregate: the aggregate's id, such as an order's id.
    ///   - starts: the first offset of each partition, or the offset at which the version began.
    ///   - run: the parameters of the run.
    /// - Returns: the number of applied events of the aggregate.
    /// - Throws: ``RebuildRefusal`` if the projection cannot identify the rows of an aggregate; the errors of
    ///   ``run(_:)``.
    public func rebuild(_ aggregate: String, from starts: [TopicPartition: Int64], _ run: Run) async throws -> Int {
        guard let renew else {
            throw RebuildRefusal(.unknownModel, "\(model.name) cannot rebuild a single aggregate")
        }
        return try await renew(run, try await decisions(run), aggregate, starts)
    }

    private func decisions(_ run: Run) async throws -> EventDecisions {
        try await PostgresConnection.with(run.postgres) { try await EventDecisions.load(of: model.name, on: $0) }
    }
}

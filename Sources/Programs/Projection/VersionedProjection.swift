public import Daemon
public import Kafka
public import Logging
public import Postgres
public import Projections
public import ReadModels
public import StreamCore

/// A projection whose read model is kept in versions: what daemons, rebuilds and commands need of it.
public struct VersionedProjection: Sendable {
    /// One run: a version, the servers, and how it is run.
    public struct Run: Sendable {
        public let version: Int
        /// Ends the names of the topics.
        public var topicSuffix: String
        public var configuration: ProjectionRunnerConfiguration
        /// Sees the version's schema before all others.
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

    /// The tables of all its versions, and those that all runners share.
    public var measuredTables: MeasuredTables {
        var tables = MeasuredTables.ofRunners
        // The name is the program's own, and has no quotes.
        tables.schemas = "SELECT schema_name FROM projection_versions WHERE name = '\(model.name)'"
        return tables
    }

    private let topicsOf: @Sendable (String) -> [String]
    private let start: @Sendable (Run, EventDecisions) async throws -> Void
    private let renew: (@Sendable (Run, EventDecisions, String, [TopicPartition: Int64]) async throws -> Int)?

    /// - Parameter make: makes the projection, of a topics' suffix and a version.
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

    /// A projection of which one version can be run, and whose topics have their full names.
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

    /// The topics that it reads.
    public func topics(suffix: String) -> [String] { topicsOf(suffix) }

    /// Runs a version until the task is cancelled, and keeps to what operators have decided about single events.
    ///
    /// - Throws: as `ProjectionRunner.run()` does; `PostgresError` when the decisions cannot be read.
    public func run(_ run: Run) async throws {
        try await start(run, try await decisions(run))
    }

    /// Makes one aggregate of a version anew from its events in Kafka.
    ///
    /// - Parameters:
    ///   - aggregate: whose rows are made anew, an order's id.
    ///   - starts: where each partition begins, or where the version did.
    /// - Returns: how many events of the aggregate were applied.
    /// - Throws: ``RebuildRefusal`` where the rows of single aggregates are not known; as ``run(_:)`` does.
    public func rebuild(_ aggregate: String, from starts: [TopicPartition: Int64], _ run: Run) async throws -> Int {
        guard let renew else {
            throw RebuildRefusal(.unknownModel, "\(model.name) cannot make a single aggregate anew")
        }
        return try await renew(run, try await decisions(run), aggregate, starts)
    }

    private func decisions(_ run: Run) async throws -> EventDecisions {
        try await PostgresConnection.with(run.postgres) { try await EventDecisions.load(of: model.name, on: $0) }
    }
}

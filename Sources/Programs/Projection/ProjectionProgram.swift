public import Daemon
public import Migrations
public import Postgres
public import Projections
public import ReadModels
public import Settings

/// A daemon that maintains one read model. Everything except the projection is implemented here.
public protocol ProjectionProgram: DaemonProgram where Feature == ProjectionFeature<Self> {
    associatedtype Kept: Projection

    /// The order of events that its read model needs with dead letters.
    static var order: DeadLetterRoute.Order { get }
    /// The migration set with the read model's tables.
    static var migrationSet: String { get }
    /// Whether `[projection]` has the setting `version`; see ``VersionedProjectionProgram``.
    static var hasVersions: Bool { get }
    /// The default channel that is notified of applied events; nil if nobody listens, and then there is no setting.
    static var notifyChannel: String? { get }
    /// - Parameter topicSuffix: the suffix of each topic's name, after an aggregate type in lower case.
    static func projection(topicSuffix: String) -> Kept
}

/// A daemon whose read model has versions that can be rebuilt while the live one is used.
public protocol VersionedProjectionProgram: ProjectionProgram where Kept: AggregateProjection {
    /// The tables of one version.
    static var readModel: ReadModel { get }
    /// - Parameters:
    ///   - topicSuffix: the suffix of each topic's name, after an aggregate type in lower case.
    ///   - version: the version of the read model.
    static func projection(topicSuffix: String, version: Int) -> Kept
}

/// The settings of a daemon that maintains one read model.
public struct ProjectionFeature<Program: ProjectionProgram>: FeatureSettings {
    public let projection: ProjectionSettings

    public init(from reader: SettingsReader) {
        projection = ProjectionSettings(
            from: reader, consumer: Program.projection(topicSuffix: "").name, order: Program.order,
            hasVersions: Program.hasVersions, notifyChannel: Program.notifyChannel)
    }

    public static var reloadableKeys: [String] { ProjectionSettings.reloadableKeys }

    public func adopt(_ reloaded: Self) { projection.adopt(reloaded.projection) }
}

extension ProjectionProgram {
    public static var order: DeadLetterRoute.Order { .key }

    public static var hasVersions: Bool { false }

    public static var notifyChannel: String? { nil }

    public static var metricHelp: [String: String] { ProjectionMetrics.help }

    public static var migrations: MigrationCatalog { .embedded }

    public static var needsWrites: Bool { true }

    public static var worksByDefault: Bool { true }

    public static var consumers: [Consumption] { [Consumption(projection(topicSuffix: "-events"))] }

    public static func migrationSets(for feature: Feature) -> [String] { ["projections", migrationSet] }

    public static func measuredTables(for feature: Feature) -> MeasuredTables { .ofRunners }

    public static func check(_ feature: Feature, on connection: PostgresConnection) async throws -> [String] {
        try await PartitionOwnership.notes(on: connection)
    }

    public static func run(_ feature: Feature, in context: DaemonContext) async throws {
        let projection = projection(topicSuffix: feature.projection.topicSuffix)
        try await ProjectionRunner(projection, feature.projection, in: context).run()
    }
}

extension VersionedProjectionProgram {
    public static var hasVersions: Bool { true }

    public static func projection(topicSuffix: String) -> Kept { projection(topicSuffix: topicSuffix, version: 1) }

    /// The versioned projection for daemons and rebuilds.
    public static var versioned: VersionedProjection {
        VersionedProjection(readModel) { projection(topicSuffix: $0, version: $1) }
    }

    public static func measuredTables(for feature: Feature) -> MeasuredTables { versioned.measuredTables }

    public static func run(_ feature: Feature, in context: DaemonContext) async throws {
        try await VersionedDaemon(versioned, feature.projection, in: context).run()
    }
}

extension MeasuredTables {
    /// The tables that all runners share.
    public static let ofRunners = MeasuredTables(["parked_events", "processed_events"])
}

extension ProjectionRunner {
    /// Creates the runner of a daemon's projection.
    public init(_ projection: P, _ settings: ProjectionSettings, in context: DaemonContext) {
        self.init(projection, settings.configuration, in: context)
    }

    /// Creates the runner of one of several projections of a daemon.
    public init(_ projection: P, _ configuration: ProjectionRunnerConfiguration, in context: DaemonContext) {
        self.init(
            projection: projection, configuration: configuration, postgres: context.postgres, kafka: context.kafka,
            logger: context.logger, observer: ProjectionHealth(context, projection: projection.name))
    }
}

extension Consumption {
    /// The topics and groups of a projection that parks events that it cannot apply.
    public init(_ projection: some Projection) {
        let route = DeadLetterRoute(consumer: projection.name)
        self.init(
            consumer: projection.name, topics: projection.topics,
            letterTopics: [route.letterTopic, route.retryTopic], codec: projection.codec)
    }
}

public import Daemon
internal import Dashboard
internal import Operations
public import Postgres
public import ProjectionPrograms
internal import Projections
public import Settings

/// The daemon `dashboard-projection`.
public enum DashboardProgram: DaemonProgram {
    public struct Feature: FeatureSettings {
        let projection: ProjectionSettings
        let dashboard: DashboardSettings

        public init(from reader: SettingsReader) {
            projection = ProjectionSettings(
                from: reader, consumer: "dashboard", order: .none, hasVersions: true)
            dashboard = DashboardSettings(from: reader)
        }

        public static var reloadableKeys: [String] { ProjectionSettings.reloadableKeys }

        public func adopt(_ reloaded: Self) { projection.adopt(reloaded.projection) }
    }

    public static let name = "dashboard-projection"
    public static let abstract = "Counts the events of orders in Kafka by time, product, customer and status."
    public static let operationsPort = 9_403
    public static let metricHelp = ProjectionMetrics.help

    public static var consumers: [Consumption] { [Consumption(DashboardProjection(topicSuffix: "-events"))] }

    /// The versioned projection for daemons and rebuilds.
    public static var versioned: VersionedProjection {
        VersionedProjection(DashboardProjection.readModel) { DashboardProjection(topicSuffix: $0, version: $1) }
    }

    public static func migrationSets(for feature: Feature) -> [String] { ["projections", "dashboard"] }

    public static func measuredTables(for feature: Feature) -> MeasuredTables { versioned.measuredTables }

    public static func check(_ feature: Feature, on connection: PostgresConnection) async throws -> [String] {
        try await PartitionOwnership.notes(on: connection)
    }

    public static func run(_ feature: Feature, in context: DaemonContext) async throws {
        let retention = feature.dashboard.retention
        let logger = context.logger
        try await VersionedDaemon(versioned, feature.projection, in: context) { postgres in
            let pruning = context.health.watch(.loop, "retention loop", limit: context.stallAfter)
            defer { pruning.end() }
            await DashboardPruner(retention: retention, postgres: postgres, logger: logger).run { isWorking in
                pruning.turned(to: isWorking ? .working : .idle)
                pruning.progressed()
            }
        }.run()
    }
}

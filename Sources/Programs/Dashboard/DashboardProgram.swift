public import Daemon
internal import Dashboard
internal import ProjectionPrograms
internal import Projections
public import Settings

/// The daemon `dashboard-projection`.
public enum DashboardProgram: DaemonProgram {
    public struct Feature: FeatureSettings {
        let projection: ProjectionSettings
        let dashboard: DashboardSettings

        public init(from reader: SettingsReader) {
            projection = ProjectionSettings(from: reader, consumer: "dashboard", order: .none)
            dashboard = DashboardSettings(from: reader)
        }
    }

    public static let name = "dashboard-projection"
    public static let abstract = "Counts the events of orders in Kafka by time, product, customer and status."
    public static let operationsPort = 9_403
    public static let metricHelp = ProjectionMetrics.help

    public static var consumers: [Consumption] { [Consumption(DashboardProjection(topicSuffix: "-events"))] }

    public static func migrationSets(for feature: Feature) -> [String] { ["projections", "dashboard"] }

    public static func run(_ feature: Feature, in context: DaemonContext) async throws {
        let projection = DashboardProjection(topicSuffix: feature.projection.topicSuffix)
        let runner = ProjectionRunner(projection, feature.projection, in: context)
        let pruner = DashboardPruner(
            retention: feature.dashboard.retention, postgres: context.postgres, logger: context.logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await runner.run() }
            group.addTask { await pruner.run() }
            // The pruner ends only when it is told to; the runner also by itself, when going on makes no sense.
            try await group.next()
            group.cancelAll()
            try await group.waitForAll()
        }
    }
}

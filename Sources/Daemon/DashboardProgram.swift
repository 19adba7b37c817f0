internal import Dashboard
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

    public static func migrationSets(for feature: Feature) -> [String] { ["projections", "dashboard"] }

    public static func run(_ feature: Feature, in context: DaemonContext) async throws {
        let runner = ProjectionRunner(
            projection: DashboardProjection(topicSuffix: feature.projection.topicSuffix),
            configuration: feature.projection.configuration,
            postgres: context.postgres, kafka: context.kafka, logger: context.logger,
            observer: ProjectionHealth(context))
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

/// `[dashboard]`: how long the small buckets are kept.
struct DashboardSettings: FeatureSettings {
    var retention: DashboardRetention

    init(from reader: SettingsReader) {
        let section = reader.section("dashboard", "How long the dashboard's small buckets are kept.")
        let defaults = DashboardRetention()
        var retention = defaults
        retention.minutesKeptHours = section.integer(
            "minutes_kept_hours", default: defaults.minutesKeptHours, in: 1...87_600,
            """
            Numbers by the minute are kept for so many hours. Each event counts in its hour and its day as well, so \
            dropping them changes no total.
            """)
        retention.hoursKeptDays = section.integer(
            "hours_kept_days", default: defaults.hoursKeptDays, in: 1...36_500,
            "Numbers by the hour are kept for so many days. Numbers by the day are kept for ever.")
        retention.intervalS = section.integer(
            "prune_interval_s", default: defaults.intervalS, in: 1...86_400,
            "The time between two passes that drop what is older.")
        section.reject(retention.validate())
        self.retention = retention
    }
}

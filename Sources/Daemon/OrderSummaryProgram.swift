internal import OrderSummary
internal import Projections
public import Settings

/// The daemon `order-summary-projection`.
public enum OrderSummaryProgram: DaemonProgram {
    public struct Feature: FeatureSettings {
        let projection: ProjectionSettings

        public init(from reader: SettingsReader) {
            projection = ProjectionSettings(from: reader, consumer: "order-summary", order: .key)
        }
    }

    public static let name = "order-summary-projection"
    public static let abstract = "Keeps the read model order_summary from the events of orders in Kafka."
    public static let operationsPort = 9_402

    public static func migrationSets(for feature: Feature) -> [String] { ["projections", "order-summary"] }

    public static func run(_ feature: Feature, in context: DaemonContext) async throws {
        try await ProjectionRunner(
            projection: OrderSummaryProjection(topicSuffix: feature.projection.topicSuffix),
            configuration: feature.projection.configuration,
            postgres: context.postgres, kafka: context.kafka, logger: context.logger,
            observer: ProjectionHealth(context)
        ).run()
    }
}

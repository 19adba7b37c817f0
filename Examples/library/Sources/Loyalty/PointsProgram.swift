public import Daemon
public import Migrations
public import ProjectionPrograms

/// The daemon `points-projection`.
public enum PointsProgram: ProjectionProgram {
    public static let name = "points-projection"
    public static let abstract = "Keeps the read model loyalty_points from the events of cards in Kafka."
    public static let operationsPort = 9_420
    public static let migrationSet = "loyalty"

    /// Millrace contains the schema of the runtime. The schema of the read model is in `SQL/`.
    public static let migrations = MigrationCatalog.embedded.adding([
        ("loyalty_0001_points", PackageResources.loyalty_0001_points_sql)
    ])

    public static func projection(topicSuffix: String) -> PointsProjection {
        PointsProjection(topicSuffix: topicSuffix)
    }
}

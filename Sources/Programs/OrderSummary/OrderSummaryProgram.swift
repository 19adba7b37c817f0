// VersionedProjectionProgram refines a protocol of Daemon. Without this import, an incremental build would not detect
// its changes.
internal import Daemon
public import OrderSummary
public import ProjectionPrograms
public import ReadModels

/// The daemon `order-summary-projection`.
public enum OrderSummaryProgram: VersionedProjectionProgram {
    public typealias Kept = OrderSummaryProjection

    public static let name = "order-summary-projection"
    public static let abstract = "Maintains the read model order_summary from the events of orders in Kafka."
    public static let operationsPort = 9_402
    public static let migrationSet = "order-summary"
    public static let notifyChannel: String? = NotifyChannels.orderSummary

    public static var readModel: ReadModel { OrderSummaryProjection.readModel }

    public static func projection(topicSuffix: String, version: Int) -> OrderSummaryProjection {
        OrderSummaryProjection(topicSuffix: topicSuffix, version: version)
    }
}

public import Events
public import Orders
public import Postgres
public import Projections
public import ReadModels

/// The read model `order_summary`: one row an order, from all events of orders, payments and shipments.
///
/// A record's way: decode → fold per order → one statement that merges, which goes along with COMMIT.
public struct OrderSummaryProjection: EventProjection, AggregateProjection {
    public typealias Payload = OrderEventPayload

    public var name: String { Self.readModel.name }
    public let version: Int
    public let topics: [String]
    private let writer = OrderSummaryWriter()

    /// The tables of a version of it.
    public static let readModel = ReadModel(
        name: "order-summary", structure: 1, script: String(decoding: PackageResources.version_sql, as: UTF8.self))

    /// - Parameters:
    ///   - topicSuffix: ends the name of each topic, as the relay's setting of that name.
    ///   - version: the version that is kept; its schema is searched first in the session.
    public init(topicSuffix: String = "-events", version: Int = 1) {
        self.version = version
        topics = AggregateType.topics(suffix: topicSuffix)
    }

    public func subject(of event: OrderEvent) -> String { event.orderID }

    public func forget(_ subject: String, in transaction: PostgresTransaction) async throws {
        try await transaction.execute(OrderSummaryStatements.forget, Parameters { $0.append(subject) })
    }

    public func apply(_ events: [OrderEvent], in transaction: PostgresTransaction) async throws {
        try await writer.write(OrderSummaryFold(events), in: transaction)
    }
}

public import Events
public import Orders
public import Postgres
public import Projections

/// The read model `order_summary`: one row an order, from all events of orders, payments and shipments.
///
/// A record's way: decode → fold per order → one statement that merges, which goes along with COMMIT.
public struct OrderSummaryProjection: EventProjection {
    public typealias Payload = OrderEventPayload

    public let name = "order-summary"
    public let version = 1
    public let topics: [String]
    private let writer = OrderSummaryWriter()

    /// - Parameter topicSuffix: ends the name of each topic, as the relay's setting of that name.
    public init(topicSuffix: String = "-events") {
        topics = AggregateType.topics(suffix: topicSuffix)
    }

    public func apply(_ events: [OrderEvent], in transaction: PostgresTransaction) async throws {
        try await writer.write(OrderSummaryFold(events), in: transaction)
    }
}

public import Events
public import Orders
public import Postgres
public import Projections

/// The read model `dashboard`: what happened in each minute, hour and day, orders by status, products, customers and
/// durations, from all events of orders, payments and shipments.
///
/// A record's way: decode → fold per order → lock and read the orders → merge → the difference between what
/// each order counts for now and what it counted for before → one statement a table.
///
/// **Order.** What an order counts for is a function of its facts, and facts merge in any order, those of one aggregate
/// too. So `order = "none"` is right for the dead letters of this projection: an event that is set aside holds back no
/// later event of its key. Until it is tried again, the numbers lack it and what needs it (without OrderCreated, all
/// that needs the order's customer or currency); then they are as if it had come in time. Counters that add events up
/// without facts would stand any order too, but could not move an order from one status to the next.
public struct DashboardProjection: EventProjection {
    public typealias Payload = OrderEventPayload

    public let name = "dashboard"
    public let version = 1
    public let topics: [String]
    /// What an order counts for is a function of its facts, and those are the same when they are told again.
    public let remembersEvents = false
    private let writer = DashboardWriter()

    /// - Parameter topicSuffix: ends the name of each topic, as the relay's setting of that name.
    public init(topicSuffix: String = "-events") {
        topics = AggregateType.topics(suffix: topicSuffix)
    }

    public func apply(_ events: [OrderEvent], in transaction: PostgresTransaction) async throws {
        try await writer.write(OrderFactsFold(events).changes, in: transaction)
    }
}

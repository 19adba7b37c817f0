public import Events
public import Orders
public import Postgres
public import Projections
public import ReadModels

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
public struct DashboardProjection: EventProjection, AggregateProjection {
    public typealias Payload = OrderEventPayload

    public var name: String { Self.readModel.name }
    public let version: Int
    public let topics: [String]
    /// What an order counts for is a function of its facts, and those are the same when they are told again.
    public let remembersEvents = false
    private let writer = DashboardWriter()

    /// The tables of a version of it.
    public static let readModel = ReadModel(
        name: "dashboard", structure: 1, script: String(decoding: PackageResources.version_sql, as: UTF8.self))

    /// - Parameters:
    ///   - topicSuffix: ends the name of each topic, as the relay's setting of that name.
    ///   - version: the version that is kept; its schema is searched first in the session.
    public init(topicSuffix: String = "-events", version: Int = 1) {
        self.version = version
        topics = AggregateType.topics(suffix: topicSuffix)
    }

    public func subject(of event: OrderEvent) -> String { event.orderID }

    public func forget(_ subject: String, in transaction: PostgresTransaction) async throws {
        try await writer.forget(subject, in: transaction)
    }

    public func apply(_ events: [OrderEvent], in transaction: PostgresTransaction) async throws {
        try await writer.write(OrderFactsFold(events).changes, in: transaction)
    }
}

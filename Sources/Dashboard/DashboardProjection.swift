public import Events
public import Orders
public import Postgres
public import Projections
public import ReadModels

/// The read model `dashboard`: counts of each minute, hour and day, orders by status, products, customers and
/// durations, from all events of orders, payments and shipments.
///
/// The path of a record: decode → fold by order → lock and read the orders → merge → the difference between the new and
/// the old contribution of each order → one statement for each table.
///
/// **Order.** The contribution of an order is a function of its facts, and facts can be merged in any order. So
/// `order = "none"` is right for the dead letters of this projection: a dead letter does not hold back later events of
/// its key. Until it is retried, the counters lack the event and everything that depends on it (without OrderCreated,
/// everything that needs the order's customer or currency). After that they are the same as if it had arrived in time.
/// Counters that only add up events would not depend on the order either, but could not move an order from one status
/// to the next.
public struct DashboardProjection: EventProjection, AggregateProjection {
    public typealias Payload = OrderEventPayload

    public var name: String { Self.readModel.name }
    public let version: Int
    public let topics: [String]
    /// False, because the contribution of an order is a function of its facts, and repeated events do not change the
    /// facts.
    public let remembersEvents = false
    public let isReproducible = true
    private let writer = DashboardWriter()

    /// The tables of a version of the read model.
    public static let readModel = ReadModel(
        name: "dashboard", structure: 1, script: String(decoding: PackageResources.version_sql, as: UTF8.self))

    /// - Parameters:
    ///   - topicSuffix: the suffix of the topics' names. It must equal the relay's setting of the same name.
    ///   - version: the version of the read model. The session's search path must begin with its schema.
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

public import Events
public import Orders
public import Postgres
public import Projections
public import ReadModels

/// The read model `order_summary`. It has one row for each order, built from all events of orders, payments and
/// shipments.
///
/// The path of a record: decode → fold by order → one statement that merges. The statement shares the round trip of
/// COMMIT.
public struct OrderSummaryProjection: EventProjection, AggregateProjection {
    public typealias Payload = OrderEventPayload

    public var name: String { Self.readModel.name }
    public let version: Int
    public let topics: [String]
    public let onlyQueues = true
    public let isReproducible = true
    private let writer = OrderSummaryWriter()

    /// The tables of a version of the read model.
    public static let readModel = ReadModel(
        name: "order-summary", structure: 1, script: String(decoding: PackageResources.version_sql, as: UTF8.self))

    /// - Parameters:
    ///   - topicSuffix: the suffix of the topics' names. It must equal the relay's setting of the same name.
    ///   - version: the version of the read model. The session's search path must begin with its schema.
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

internal import Events
public import Kafka
public import Orders
public import Postgres
public import Projections
internal import StreamCore

/// The read model `order_summary`: one row an order, from all events of orders, payments and shipments.
///
/// A record's way: ``decode(_:)`` → fold per order → one statement that merges, which goes along with COMMIT.
public struct OrderSummaryProjection: Projection {
    public let name = "order-summary"
    public let version = 1
    public let topics: [String]
    private let writer = OrderSummaryWriter()

    /// - Parameter topicSuffix: ends the name of each topic, as the relay's setting of that name.
    public init(topicSuffix: String = "-events") {
        topics = AggregateType.allCases.map { $0.topic(suffix: topicSuffix) }
    }

    public func decode(_ record: borrowing RecordView) throws(EventFailure) -> DecodedRecord<OrderEvent> {
        guard let value = record.value else { return .skipped(.tombstone) }
        do {
            switch try OrderEventDecoder.decode(value) {
            case .event(let event): return .event(event.identity, event)
            case .unknownType: return .skipped(.unknownType)
            }
        } catch {
            // The value need not be readable; the relay says whose it is in a header as well.
            let eventID = record.header(named: "event-id")?.value.flatMap { EventID(utf8: $0.span) }
            throw EventFailure(error.errorClass.rawValue, "\(error.path): \(error.detail)", eventID: eventID)
        }
    }

    public func apply(_ events: [OrderEvent], in transaction: PostgresTransaction) async throws {
        try await writer.write(OrderSummaryFold(events), in: transaction)
    }
}

public import Kafka
public import Orders
public import Postgres
public import Projections
internal import StreamCore

/// The read model `order_summary`: one row an order, from all events of orders, payments and shipments.
///
/// A record's way: ``decode(_:)`` → fold per order → merge with the lines that are stored → one statement.
public struct OrderSummaryProjection: Projection {
    public let name = "order-summary"
    public let version = 1
    public let topics = AggregateType.allCases.map(\.topic)
    private let writer = OrderSummaryWriter()

    public init() {}

    public func decode(_ record: borrowing RecordView) throws(EventFailure) -> DecodedRecord<OrderEvent> {
        guard let value = record.value else { return .skipped(.tombstone) }
        do {
            switch try OrderEventDecoder.decode(value) {
            case .event(let event): return .event(event.identity, event)
            case .unknownType: return .skipped(.unknownType)
            }
        } catch {
            throw EventFailure(error.errorClass.rawValue, "\(error.path): \(error.detail)")
        }
    }

    public func apply(_ events: [OrderEvent], in transaction: PostgresTransaction) async throws {
        try await writer.write(OrderSummaryFold(events).rows, in: transaction)
    }
}

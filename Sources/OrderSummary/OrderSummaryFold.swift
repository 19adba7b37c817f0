public import Events
public import Orders

/// A batch of events as one change an order.
public struct OrderSummaryFold: Sendable {
    /// One an order, in the order in which the batch first told of it.
    public private(set) var rows: [OrderSummaryRow] = []
    private var places: [ExactText: Int] = [:]

    public init(_ events: [OrderEvent] = []) {
        places.reserveCapacity(events.count)
        for event in events { add(event) }
    }

    /// Folds one more event in.
    public mutating func add(_ event: OrderEvent) {
        let place = places[ExactText(event.orderID), default: rows.count]
        if place < rows.count {
            rows[place].merge(event)
        } else {
            places[ExactText(event.orderID)] = place
            rows.append(OrderSummaryRow(event))
        }
    }

    /// The change of one order; nil when no event told of it.
    public subscript(orderID: String) -> OrderSummaryRow? {
        places[ExactText(orderID)].map { rows[$0] }
    }
}

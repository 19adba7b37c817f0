public import Events
public import Orders

/// A batch of events, combined into one change for each order.
public struct OrderSummaryFold: Sendable {
    /// One change for each order, in the order in which the orders first occur in the batch.
    public private(set) var rows: [OrderSummaryRow] = []
    private var places: [ExactText: Int] = [:]

    public init(_ events: [OrderEvent] = []) {
        places.reserveCapacity(events.count)
        for event in events { add(event) }
    }

    /// Adds an event.
    public mutating func add(_ event: OrderEvent) {
        guard event.type.changesReadModels else { return }
        let place = places[ExactText(event.orderID), default: rows.count]
        if place < rows.count {
            rows[place].merge(event)
        } else {
            places[ExactText(event.orderID)] = place
            rows.append(OrderSummaryRow(event))
        }
    }

    /// The change of an order; nil if the batch has no event of it.
    public subscript(orderID: String) -> OrderSummaryRow? {
        places[ExactText(orderID)].map { rows[$0] }
    }
}

public import Events
public import Orders

/// A batch of events as what they tell, order by order.
public struct OrderFactsFold: Sendable {
    /// One an order, in the order in which the batch first told of it.
    public private(set) var changes: [OrderFacts] = []
    private var places: [ExactText: Int] = [:]

    public init(_ events: [OrderEvent] = []) {
        places.reserveCapacity(events.count)
        for event in events { add(event) }
    }

    /// Folds one more event in.
    public mutating func add(_ event: OrderEvent) {
        let place = places[ExactText(event.orderID), default: changes.count]
        if place < changes.count {
            changes[place].merge(event)
        } else {
            places[ExactText(event.orderID)] = place
            changes.append(OrderFacts(event))
        }
    }
}

public import Events
public import Orders

/// A batch of events, combined into one change for each order.
public struct OrderFactsFold: Sendable {
    /// One change for each order, in the order in which the orders first occur in the batch.
    public private(set) var changes: [OrderFacts] = []
    private var places: [ExactText: Int] = [:]

    public init(_ events: [OrderEvent] = []) {
        places.reserveCapacity(events.count)
        for event in events { add(event) }
    }

    /// Adds an event.
    public mutating func add(_ event: OrderEvent) {
        guard event.type.changesReadModels else { return }
        let place = places[ExactText(event.orderID), default: changes.count]
        if place < changes.count {
            changes[place].merge(event)
        } else {
            places[ExactText(event.orderID)] = place
            changes.append(OrderFacts(event))
        }
    }
}

public import Events

/// One event of the stock of a product.
public typealias InventoryEvent = Event<InventoryEventPayload>

/// The domain's only kind of aggregate: the stock of one product. Its id is the product's id.
public enum InventoryKind: String, AggregateKind {
    case inventory = "Inventory"
}

public enum InventoryEventType: String, EventType {
    case stockChanged = "StockChanged"

    public var aggregateType: InventoryKind { .inventory }
}

/// The payload of an event of a product's stock.
public enum InventoryEventPayload: Hashable, Sendable {
    case stockChanged(StockChanged)

    public var type: InventoryEventType { .stockChanged }
}

/// A movement, with the numbers after it. A reader that knows the latest event of a product knows its stock.
public struct StockChanged: Hashable, Sendable {
    public enum Reason: String, CaseIterable, Sendable {
        /// Pieces arrived.
        case received
        /// Pieces were reserved for an order.
        case reserved
        /// Pieces are no longer reserved for an order.
        case released
        /// Pieces that were reserved for an order were shipped.
        case shipped
    }

    /// The number of pieces that are reserved for one order after the movement.
    public struct Reservation: Hashable, Sendable {
        public let orderID: String
        public let quantity: Int64

        public init(orderID: String, quantity: Int64) {
            self.orderID = orderID
            self.quantity = quantity
        }
    }

    public let reason: Reason
    /// The number of pieces that moved, from 1.
    public let quantity: Int32
    /// The order's reservation; set for all reasons except ``Reason/received``.
    public let reservation: Reservation?
    /// The number of pieces in stock, whether reserved or not.
    public let onHand: Int64
    /// The number of these pieces that are reserved for orders.
    public let reserved: Int64

    /// The number of pieces that can be reserved.
    public var available: Int64 { onHand - reserved }

    public init(reason: Reason, quantity: Int32, reservation: Reservation? = nil, onHand: Int64, reserved: Int64) {
        self.reason = reason
        self.quantity = quantity
        self.reservation = reservation
        self.onHand = onHand
        self.reserved = reserved
    }
}

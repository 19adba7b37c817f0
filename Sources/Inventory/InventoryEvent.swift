public import Events

/// One event of the stock of a product.
public typealias InventoryEvent = Event<InventoryEventPayload>

/// The stock of one product is an aggregate; its id is the product's.
public enum InventoryKind: String, AggregateKind {
    case inventory = "Inventory"
}

public enum InventoryEventType: String, EventType {
    case stockChanged = "StockChanged"

    public var aggregateType: InventoryKind { .inventory }
}

/// What happened to the stock of a product.
public enum InventoryEventPayload: Hashable, Sendable {
    case stockChanged(StockChanged)

    public var type: InventoryEventType { .stockChanged }
}

/// A movement, with the numbers after it: a reader that knows the latest event of a product knows its stock.
public struct StockChanged: Hashable, Sendable {
    public enum Reason: String, CaseIterable, Sendable {
        /// Pieces came in.
        case received
        /// Pieces are kept for an order.
        case reserved
        /// Pieces are no longer kept for an order.
        case released
        /// Pieces that were kept for an order have left.
        case shipped
    }

    /// What is kept for one order after the movement.
    public struct Reservation: Hashable, Sendable {
        public let orderID: String
        public let quantity: Int64

        public init(orderID: String, quantity: Int64) {
            self.orderID = orderID
            self.quantity = quantity
        }
    }

    public let reason: Reason
    /// How many pieces moved, from 1.
    public let quantity: Int32
    /// The order's, for all reasons but ``Reason/received``.
    public let reservation: Reservation?
    /// Pieces that are there, whether reserved or not.
    public let onHand: Int64
    /// Pieces of them that are kept for orders.
    public let reserved: Int64

    /// Pieces that can be reserved.
    public var available: Int64 { onHand - reserved }

    public init(reason: Reason, quantity: Int32, reservation: Reservation? = nil, onHand: Int64, reserved: Int64) {
        self.reason = reason
        self.quantity = quantity
        self.reservation = reservation
        self.onHand = onHand
        self.reserved = reserved
    }
}

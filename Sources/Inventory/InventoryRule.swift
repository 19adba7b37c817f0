public import Events

/// The rules of stock.
public enum InventoryRule: String, Rule {
    case unknownStock = "unknown-stock"
    case invalidQuantity = "invalid-quantity"
    case insufficientStock = "insufficient-stock"
    case notReserved = "not-reserved"
    case stockTooLarge = "stock-too-large"

    public var kind: RuleKind {
        switch self {
        case .unknownStock: .notFound
        case .insufficientStock, .notReserved, .stockTooLarge: .conflict
        case .invalidQuantity: .invalid
        }
    }

    public var summary: String {
        switch self {
        case .unknownStock: "No pieces of this product have been received yet."
        case .invalidQuantity: "A quantity must be 1 or more."
        case .insufficientStock: "Fewer pieces are available."
        case .notReserved: "Fewer pieces are reserved for the order."
        case .stockTooLarge: "A stock can have at most \(InventoryDecider.maximumOnHand) pieces."
        }
    }
}

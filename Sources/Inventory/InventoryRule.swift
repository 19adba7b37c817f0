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
        case .unknownStock: "Nothing of this product was ever received."
        case .invalidQuantity: "A quantity is 1 or more."
        case .insufficientStock: "Not so many pieces are available."
        case .notReserved: "Not so many pieces are reserved for the order."
        case .stockTooLarge: "A stock has at most \(InventoryDecider.maximumOnHand) pieces."
        }
    }
}

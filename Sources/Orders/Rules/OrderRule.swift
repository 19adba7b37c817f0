public import Events

/// The rules of orders.
public enum OrderRule: String, Rule {
    case unknownOrder = "unknown-order"
    case orderExists = "order-exists"
    case unknownCustomer = "unknown-customer"
    case noItems = "no-items"
    case tooManyItems = "too-many-items"
    case duplicateProduct = "duplicate-product"
    case invalidQuantity = "invalid-quantity"
    case invalidPrice = "invalid-price"
    case unknownCurrency = "unknown-currency"
    case currencyMismatch = "currency-mismatch"
    case totalTooLarge = "total-too-large"
    case unknownItem = "unknown-item"
    case lastItem = "last-item"
    case orderNotOpen = "order-not-open"
    case totalBelowMinimum = "total-below-minimum"
    case creditLimitExceeded = "credit-limit-exceeded"
    case orderCancelled = "order-cancelled"
    case orderShipped = "order-shipped"

    public var kind: RuleKind {
        switch self {
        case .unknownOrder, .unknownItem: .notFound
        case .orderExists, .lastItem, .orderNotOpen, .totalBelowMinimum, .creditLimitExceeded, .orderCancelled,
            .orderShipped:
            .conflict
        case .unknownCustomer, .noItems, .tooManyItems, .duplicateProduct, .invalidQuantity, .invalidPrice,
            .unknownCurrency, .currencyMismatch, .totalTooLarge:
            .invalid
        }
    }

    public var summary: String {
        switch self {
        case .unknownOrder: "There is no such order."
        case .orderExists: "There is an order with this id."
        case .unknownCustomer: "There is no such customer."
        case .noItems: "An order has at least one item."
        case .tooManyItems: "An order has at most \(OrderPolicy.maximumItems) items."
        case .duplicateProduct: "An order has one item for each product."
        case .invalidQuantity: "A quantity is 1 or more."
        case .invalidPrice: "A price is not negative and has no more digits than its currency."
        case .unknownCurrency: "The currency is not taken."
        case .currencyMismatch: "All prices of an order are in its currency."
        case .totalTooLarge: "The total has more digits than an amount may have."
        case .unknownItem: "The order has no item of this product."
        case .lastItem: "The last item of an order cannot be removed; the order can be cancelled."
        case .orderNotOpen: "An order is changed and confirmed before it is confirmed or cancelled."
        case .totalBelowMinimum: "An order is confirmed from a minimum total on."
        case .creditLimitExceeded: "The customer's unpaid orders would exceed the credit limit."
        case .orderCancelled: "The order is cancelled."
        case .orderShipped: "An order that was shipped cannot be cancelled."
        }
    }
}

public import Events

/// The rules of orders.
public enum OrderRule: String, Rule {
    case unknownOrder = "unknown-order"
    case orderExists = "order-exists"
    case unknownCustomer = "unknown-customer"
    case noItems = "no-items"
    case tooManyItems = "too-many-items"
    case duplicateProduct = "duplicate-product"
    case unknownProduct = "item-of-unknown-product"
    case retiredProduct = "item-of-retired-product"
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
        case .unknownCustomer, .noItems, .tooManyItems, .duplicateProduct, .unknownProduct, .retiredProduct,
            .invalidQuantity, .invalidPrice, .unknownCurrency, .currencyMismatch, .totalTooLarge:
            .invalid
        }
    }

    public var summary: String {
        switch self {
        case .unknownOrder: "There is no such order."
        case .orderExists: "An order with this id already exists."
        case .unknownCustomer: "There is no such customer."
        case .noItems: "An order must have at least one item."
        case .tooManyItems: "An order can have at most \(OrderPolicy.maximumItems) items."
        case .duplicateProduct: "An order can have only one item for each product."
        case .unknownProduct: "The product of an item must be in the catalogue."
        case .retiredProduct: "The product of an item must not be retired."
        case .invalidQuantity: "A quantity must be 1 or more."
        case .invalidPrice: "A price must not be negative or have more decimal places than its currency."
        case .unknownCurrency: "The currency is not accepted."
        case .currencyMismatch: "All prices of an order must be in its currency."
        case .totalTooLarge: "The total has more digits than an amount may have."
        case .unknownItem: "The order has no item of this product."
        case .lastItem: "The last item of an order cannot be removed. Cancel the order instead."
        case .orderNotOpen: "An order that was confirmed or cancelled cannot be changed or confirmed."
        case .totalBelowMinimum: "An order can be confirmed only if its total reaches the minimum."
        case .creditLimitExceeded: "The customer's unpaid orders would exceed the credit limit."
        case .orderCancelled: "The order is cancelled."
        case .orderShipped: "An order that was shipped cannot be cancelled."
        }
    }
}

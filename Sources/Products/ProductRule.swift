public import Events

/// The rules of products.
public enum ProductRule: String, Rule {
    case unknownProduct = "unknown-product"
    case productExists = "product-exists"
    case productRetired = "product-retired"
    case invalidPrice = "invalid-price"
    case unknownCurrency = "unknown-currency"
    case tooManyTags = "too-many-tags"
    case invalidRating = "invalid-rating"

    public var kind: RuleKind {
        switch self {
        case .unknownProduct: .notFound
        case .productExists, .productRetired: .conflict
        case .invalidPrice, .unknownCurrency, .tooManyTags, .invalidRating: .invalid
        }
    }

    public var summary: String {
        switch self {
        case .unknownProduct: "There is no such product."
        case .productExists: "A product with this id already exists."
        case .productRetired: "A retired product cannot be changed."
        case .invalidPrice: "A price must not be negative or have more decimal places than its currency."
        case .unknownCurrency: "The currency is not accepted."
        case .tooManyTags: "A product can have at most \(ProductDetails.maximumTags) tags."
        case .invalidRating: "A rating must be a number from 1 to 5."
        }
    }
}

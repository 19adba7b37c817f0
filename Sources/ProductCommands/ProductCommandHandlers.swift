public import Commands
public import Events
public import Products

/// Creates a product with a new id.
public struct CreateProduct: Command, Hashable {
    public static let name = "CreateProduct"
    public let productID: String
    public let details: ProductDetails
    public let price: Money

    public init(productID: String, details: ProductDetails, price: Money) {
        self.productID = productID
        self.details = details
        self.price = price
    }
}

/// Replaces all details of a product.
public struct ChangeProduct: Command, Hashable {
    public static let name = "ChangeProduct"
    public let productID: String
    public let details: ProductDetails

    public init(productID: String, details: ProductDetails) {
        self.productID = productID
        self.details = details
    }
}

public struct ChangeProductPrice: Command, Hashable {
    public static let name = "ChangeProductPrice"
    public let productID: String
    public let price: Money

    public init(productID: String, price: Money) {
        self.productID = productID
        self.price = price
    }
}

/// Adds a customer's rating, from 1 to 5.
public struct RateProduct: Command, Hashable {
    public static let name = "RateProduct"
    public let productID: String
    public let rating: Int32

    public init(productID: String, rating: Int32) {
        self.productID = productID
        self.rating = rating
    }
}

/// Removes a product from the catalogue permanently.
public struct RetireProduct: Command, Hashable {
    public static let name = "RetireProduct"
    public let productID: String

    public init(productID: String) {
        self.productID = productID
    }
}

/// The commands of products, for a command bus.
public enum ProductCommands {
    /// The migration sets that the commands need. Their events are written to the table of `outbox`.
    public static let migrationSets = ["outbox", "products", "commands"]

    public static let all: [any Command.Type] = [
        CreateProduct.self, ChangeProduct.self, ChangeProductPrice.self, RateProduct.self, RetireProduct.self,
    ]

    static let resource = AggregateResource<ProductDecider>(
        "/v1/products", idPrefix: "prd", document: ProductDocument.json)

    /// - Parameter currencies: the accepted currencies of prices.
    public static func handlers(_ currencies: CurrencyTable) -> [CommandHandler] {
        [
            handler(CreateProduct.self, currencies, { $0.productID }, { .create($0.details, price: $0.price) }),
            handler(ChangeProduct.self, currencies, { $0.productID }, { .change($0.details) }),
            handler(ChangeProductPrice.self, currencies, { $0.productID }, { .changePrice($0.price) }),
            handler(RateProduct.self, currencies, { $0.productID }, { .rate($0.rating) }),
            retire(currencies),
        ]
    }

    /// Updates the fact, so that orders of the same transaction and of this process see immediately that the product is
    /// retired.
    private static func retire(_ currencies: CurrencyTable) -> CommandHandler {
        resource.handler(
            RetireProduct.self, { $0.productID }, { _ in .retire },
            reads: { command, plan in plan.fact(KnownProduct.self, command.productID) },
            facts: { _, scope in ProductDecisionFacts(tenantID: scope.tenantID, currencies: currencies) },
            then: { command, scope in
                scope.changeFact(KnownProduct.self, command.productID) { product in product?.isRetired = true }
            })
    }

    private static func handler<C: Command>(
        _: C.Type, _ currencies: CurrencyTable, _ id: @escaping @Sendable (C) -> String,
        _ told: @escaping @Sendable (C) -> ProductCommand
    ) -> CommandHandler {
        resource.handler(C.self, id, told) { _, scope in
            ProductDecisionFacts(tenantID: scope.tenantID, currencies: currencies)
        }
    }
}

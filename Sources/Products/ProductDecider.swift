public import Events
internal import StreamCore

/// The commands of a product.
public enum ProductCommand: Hashable, Sendable {
    case create(ProductDetails, price: Money)
    case change(ProductDetails)
    case changePrice(Money)
    case rate(Int32)
    case retire
}

/// The state of a product that the rules and the answers need.
public struct ProductState: Hashable, Sendable, TenantOwned {
    /// The tenant of the product, if tenants are told apart.
    public var tenantID: String?
    public var details: ProductDetails
    public var price: Money
    public var isRetired: Bool
    /// The last event.
    public var last: EventMoment

    public init(
        tenantID: String?, details: ProductDetails, price: Money, isRetired: Bool = false, last: EventMoment
    ) {
        self.tenantID = tenantID
        self.details = details
        self.price = price
        self.isRetired = isRetired
        self.last = last
    }
}

/// What the rules of products need to know besides the product.
public struct ProductDecisionFacts: Hashable, Sendable, TenantOwned {
    /// The tenant that sends the command. Products of other tenants do not exist for the command.
    public var tenantID: String?
    public var currencies: CurrencyTable

    public init(tenantID: String? = nil, currencies: CurrencyTable = .standard) {
        self.tenantID = tenantID
        self.currencies = currencies
    }
}

/// The rules of products. A command that would change nothing makes no event.
public enum ProductDecider: TenantDecider {
    public typealias State = ProductState
    public typealias Command = ProductCommand
    public typealias Payload = ProductEventPayload
    public typealias Rules = ProductRule
    public typealias Facts = ProductDecisionFacts
    public typealias Refusal = Rejection<ProductRule>

    public static let kind = ProductKind.product
    public static let unknown = ProductRule.unknownProduct

    public static func decide(
        _ command: ProductCommand, _ state: ProductState?, _ facts: ProductDecisionFacts
    ) throws(Refusal) -> [ProductEventPayload] {
        if case .create(let details, let price) = command {
            if state != nil { throw Refusal(.productExists) }
            try check(details)
            try check(price, facts)
            return [.productCreated(details, price: price)]
        }
        let state = try known(state, facts)
        if state.isRetired { throw Refusal(.productRetired) }
        switch command {
        case .create: return []
        case .change(let details):
            try check(details)
            return details == state.details ? [] : [.productChanged(details)]
        case .changePrice(let price):
            try check(price, facts)
            return price == state.price ? [] : [.productPriceChanged(price)]
        case .rate(let rating):
            guard (1...5).contains(rating) else { throw Refusal(.invalidRating) }
            return [.productRated(rating)]
        case .retire: return [.productRemoved]
        }
    }

    private static func check(_ details: ProductDetails) throws(Refusal) {
        if details.tags.count > ProductDetails.maximumTags { throw Refusal(.tooManyTags) }
    }

    private static func check(_ price: Money, _ facts: ProductDecisionFacts) throws(Refusal) {
        guard facts.currencies.digits(of: price.currency) != nil else {
            throw Refusal(.unknownCurrency, "The currency \(price.currency) is not accepted.")
        }
        guard price.amount.coefficient >= 0, facts.currencies.fits(price.amount, price.currency) else {
            throw Refusal(.invalidPrice)
        }
    }

    // MARK: events

    public static func evolve(_ state: ProductState?, _ event: ProductEvent) -> ProductState? {
        let moment = EventMoment(at: event.identity.timestamp, eventID: event.identity.eventID)
        if case .productCreated(let details, let price) = event.payload {
            return ProductState(tenantID: event.metadata.tenantID, details: details, price: price, last: moment)
        }
        guard var state else { return nil }
        state.last = moment
        switch event.payload {
        case .productCreated, .productRated: break
        case .productChanged(let details): state.details = details
        case .productPriceChanged(let price): state.price = price
        case .productRemoved: state.isRetired = true
        }
        return state
    }
}

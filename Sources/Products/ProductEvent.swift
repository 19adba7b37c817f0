public import Events
public import WireJSON

/// One event of a product.
public typealias ProductEvent = Event<ProductEventPayload>

/// The domain's only kind of aggregate.
public enum ProductKind: String, AggregateKind {
    case product = "Product"
}

public enum ProductEventType: String, EventType {
    case productCreated = "ProductCreated"
    case productChanged = "ProductChanged"
    case productPriceChanged = "ProductPriceChanged"
    case productRated = "ProductRated"
    case productRemoved = "ProductRemoved"

    public var aggregateType: ProductKind { .product }
}

/// An event of a product.
public enum ProductEventPayload: Hashable, Sendable {
    case productCreated(ProductDetails, price: Money)
    /// All details, including those that did not change.
    case productChanged(ProductDetails)
    case productPriceChanged(Money)
    /// A rating from 1 to 5. Readers sum up the ratings. The product itself does not contain them.
    case productRated(Int32)
    case productRemoved

    public var type: ProductEventType {
        switch self {
        case .productCreated: .productCreated
        case .productChanged: .productChanged
        case .productPriceChanged: .productPriceChanged
        case .productRated: .productRated
        case .productRemoved: .productRemoved
        }
    }
}

extension ProductEventPayload: EventPayload {
    public static func decode(
        _ type: ProductEventType, _ fields: inout FieldReader
    ) throws(DecodeProblem) -> ProductEventPayload {
        var members = ProductMembers()
        let start = try fields.enterObject()
        while let key = try fields.nextKey() {
            if try !members.read(key, &fields) { try fields.skip() }
        }
        switch type {
        case .productCreated:
            return .productCreated(try members.details(in: start), price: try members.price(in: start))
        case .productChanged: return .productChanged(try members.details(in: start))
        case .productPriceChanged: return .productPriceChanged(try members.price(in: start))
        case .productRated: return .productRated(try members.rating(in: start))
        case .productRemoved: return .productRemoved
        }
    }

    public func write(to writer: inout JSONWriter) {
        writer.beginObject()
        switch self {
        case .productCreated(let details, let price):
            details.writeMembers(to: &writer)
            price.writeAsPrice(to: &writer)
        case .productChanged(let details): details.writeMembers(to: &writer)
        case .productPriceChanged(let price): price.writeAsPrice(to: &writer)
        case .productRated(let rating): writer.member("rating", Int64(rating))
        case .productRemoved: break
        }
        writer.endObject()
    }
}

extension Money {
    /// Writes the members `price` and `currency`.
    public func writeAsPrice(to writer: inout JSONWriter) {
        writer.member("price", amount)
        writer.member("currency", currency.code)
    }
}

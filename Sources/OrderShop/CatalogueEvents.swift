internal import Events
internal import WireJSON

/// An event of a product, its stock, or a customer.
struct CatalogueEvent: Sendable, Equatable {
    let type: String
    let aggregateType: String
    let aggregateID: String
    /// JSON.
    let payload: String

    fileprivate init(_ type: String, _ aggregateType: String, _ id: String, _ write: (inout JSONWriter) -> Void) {
        self.type = type
        self.aggregateType = aggregateType
        aggregateID = id
        var writer = JSONWriter()
        writer.beginObject()
        write(&writer)
        writer.endObject()
        payload = String(decoding: writer.finish(), as: UTF8.self)
    }
}

/// What happens to the things around the orders. The same seed gives the same events.
struct CatalogueEvents: Sendable {
    private let products: [Catalogue.Product]
    private let customers: Int
    private var random: SeededGenerator

    /// - Parameter customers: how many there are.
    init(seed: UInt64, customers: Int) {
        products = Catalogue.standard.products
        self.customers = customers
        random = SeededGenerator(seed: seed, stream: 0xCA7A)
    }

    // MARK: the beginning

    /// All products with their stock.
    static var products: [CatalogueEvent] {
        Catalogue.standard.products.enumerated().flatMap { number, product in
            [
                CatalogueEvent("ProductCreated", "Product", product.id) { writer in
                    write(details: product, &writer)
                    write(price: product.priceInEuroCents, &writer)
                },
                stock(of: product, 50 + number % 450),
            ]
        }
    }

    static func registration(of number: Int) -> CatalogueEvent {
        let customer = Customers.customer(number: number)
        return CatalogueEvent("CustomerRegistered", "Customer", customer.id) { writer in
            writer.member("name", customer.name)
            writer.member("email", customer.email)
        }
    }

    // MARK: changes

    /// The next changes, each of another aggregate.
    mutating func changes(_ count: Int) -> [CatalogueEvent] {
        var events: [CatalogueEvent] = []
        var seen: Set<String> = []
        for _ in 0..<count {
            let event = change()
            if seen.insert(event.aggregateType + event.aggregateID).inserted { events.append(event) }
        }
        return events
    }

    private mutating func change() -> CatalogueEvent {
        let product = random.pick(products)
        switch random.below(100) {
        case ..<35:
            // Most are content.
            let rating = max(1 + random.below(5), 1 + random.below(5))
            return CatalogueEvent("ProductRated", "Product", product.id) { $0.member("rating", Int64(rating)) }
        case ..<60:
            let percent = 80 + random.below(41)
            return CatalogueEvent("ProductPriceChanged", "Product", product.id) {
                Self.write(price: max(99, product.priceInEuroCents * percent / 100), &$0)
            }
        case ..<75:
            let edition = 1 + random.below(9)
            return CatalogueEvent("ProductChanged", "Product", product.id) {
                Self.write(details: product, edition: edition, &$0)
            }
        case ..<95:
            return Self.stock(of: product, random.below(500))
        default:
            let customer = Customers.customer(number: 1 + random.below(customers))
            let number = random.below(100)
            return CatalogueEvent("CustomerChanged", "Customer", customer.id) { writer in
                writer.member("name", customer.name)
                writer.member("email", "\(customer.id)+\(number)@example.com")
            }
        }
    }

    private static func stock(of product: Catalogue.Product, _ available: Int) -> CatalogueEvent {
        CatalogueEvent("StockChanged", "Inventory", product.id) { $0.member("available", Int64(available)) }
    }

    /// All of a product but its price.
    private static func write(details product: Catalogue.Product, edition: Int = 0, _ writer: inout JSONWriter) {
        let parts = product.name.split(separator: ", ").map(String.init)
        let (kind, finish) = (parts.first ?? product.name, parts.last ?? "")
        writer.member("name", product.name)
        let added = edition == 0 ? "" : " Edition \(edition)."
        writer.member("description", "\(kind) in \(finish), made to last and easy to care for.\(added)")
        writer.member("category", kind)
        writer.key("tags")
        writer.beginArray()
        writer.string(finish)
        writer.string(product.priceInEuroCents < 2_500 ? "gift" : "premium")
        writer.endArray()
        writer.member("imageUrl", "https://example.com/images/\(product.id).jpg")
    }

    private static func write(price cents: Int, _ writer: inout JSONWriter) {
        let money = ShopCurrency.euro.money(minorUnits: Int64(cents))
        writer.member("price", "\(money.amount)")
        writer.member("currency", money.currency.code)
    }
}

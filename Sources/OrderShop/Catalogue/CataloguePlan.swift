internal import Customers
internal import Events
internal import InventoryCommands
internal import OrderCommands
internal import ProductCommands
internal import Products

/// The commands about products, stocks and customers. The same seed results in the same commands.
struct CataloguePlan: Sendable {
    private let products: [Catalogue.Product]
    private let customers: Int
    private let run: Int64
    private var random: SeededGenerator
    private var number = 0

    /// - Parameters:
    ///   - run: the number of the run, which distinguishes its reservations from those of other runs.
    ///   - customers: the number of customers.
    init(seed: UInt64, run: Int64, customers: Int) {
        products = Catalogue.standard.products
        self.customers = customers
        self.run = run
        random = SeededGenerator(seed: seed, stream: 0xCA7A)
    }

    // MARK: the beginning

    static func creation(of product: Catalogue.Product) -> CatalogueCommand {
        .create(
            CreateProduct(
                productID: product.id, details: details(of: product), price: price(product.priceInEuroCents)))
    }

    /// The commands that give an existing product its details.
    static func correction(of product: Catalogue.Product) -> [CatalogueCommand] {
        [
            .change(ChangeProduct(productID: product.id, details: details(of: product))),
            .changePrice(ChangeProductPrice(productID: product.id, price: price(product.priceInEuroCents))),
        ]
    }

    /// - Parameter number: the index of the product in the catalogue.
    static func stock(of product: Catalogue.Product, _ number: Int) -> CatalogueCommand {
        .receive(ReceiveStock(productID: product.id, quantity: Int32(50 + number % 450)))
    }

    static func registration(of customer: Customer) -> CatalogueCommand {
        .register(RegisterCustomer(customerID: customer.id, details: details(of: customer)))
    }

    /// The command that publishes an existing customer without events.
    static func announcement(of customer: Customer) -> CatalogueCommand {
        .changeCustomer(ChangeCustomer(customerID: customer.id, details: details(of: customer)))
    }

    // MARK: changes

    /// The next changes, each for a different aggregate. The commands of a change must be sent in order.
    mutating func changes(_ count: Int) -> [[CatalogueCommand]] {
        var changes: [[CatalogueCommand]] = []
        var seen: Set<String> = []
        for _ in 0..<count {
            let change = change()
            if seen.insert(change[0].aggregate).inserted { changes.append(change) }
        }
        return changes
    }

    private mutating func change() -> [CatalogueCommand] {
        number += 1
        let product = random.pick(products)
        switch random.below(100) {
        case ..<35:
            // Most ratings are good.
            let rating = max(1 + random.below(5), 1 + random.below(5))
            return [.rate(RateProduct(productID: product.id, rating: Int32(rating)))]
        case ..<60:
            let percent = 80 + random.below(41)
            let price = Self.price(max(99, product.priceInEuroCents * percent / 100))
            return [.changePrice(ChangeProductPrice(productID: product.id, price: price))]
        case ..<75:
            let details = Self.details(of: product, edition: 1 + random.below(999))
            return [.change(ChangeProduct(productID: product.id, details: details))]
        case ..<95: return movement(of: product)
        default:
            let customer = Customers.customer(number: 1 + random.below(customers))
            let email = "\(customer.id)+\(random.below(10_000))@example.com"
            let details = CustomerDetails(name: customer.name, email: email, country: customer.country)
            return [.changeCustomer(ChangeCustomer(customerID: customer.id, details: details))]
        }
    }

    /// Pieces are received, or shipped for an order of another shop. On average both numbers are equal.
    private mutating func movement(of product: Catalogue.Product) -> [CatalogueCommand] {
        let quantity = Int32(1 + random.below(40))
        if random.chance(0.5) { return [.receive(ReceiveStock(productID: product.id, quantity: quantity))] }
        let stock = OrderStock(productID: product.id, orderID: "ext-\(run)-\(number)", quantity: quantity)
        return [.reserve(ReserveStock(stock)), .ship(ShipStock(stock))]
    }

    // MARK: values

    private static func details(of product: Catalogue.Product, edition: Int = 0) -> ProductDetails {
        let parts = product.name.split(separator: ", ").map(String.init)
        let (kind, finish) = (parts.first ?? product.name, parts.last ?? "")
        let added = edition == 0 ? "" : " Edition \(edition)."
        return ProductDetails(
            name: product.name, description: "\(kind) in \(finish), made to last and easy to care for.\(added)",
            category: kind, tags: [finish, product.priceInEuroCents < 2_500 ? "gift" : "premium"],
            imageURL: "https://example.com/images/\(product.id).jpg")
    }

    private static func price(_ cents: Int) -> Money { ShopCurrency.euro.money(minorUnits: Int64(cents)) }

    private static func details(of customer: Customer) -> CustomerDetails {
        CustomerDetails(name: customer.name, email: customer.email, country: customer.country)
    }
}

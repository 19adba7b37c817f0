internal import Events
internal import Orders

/// The products of the shop: a fixed list, in which some are popular.
struct Catalogue: Sendable {
    struct Product: Sendable {
        let id: String
        let name: String
        let priceInEuroCents: Int
    }

    /// The catalogue of all shops.
    static let standard = Catalogue()

    let products: [Product]
    private let popularity: ZipfDistribution

    // The names contain quotes, apostrophes, ampersands and non-ASCII letters, so that the load tests their encoding.
    private static let kinds = [
        "Café Bowl", "Desk Lamp", "12\" Record Sleeve", "Baker's Apron", "Salt & Pepper Mill", "Føroyar Sweater",
        "Müsli Jar", "Notebook", "Fountain Pen", "Tea Kettle", "Bread Knife", "Chopping Board", "Wool Blanket",
        "Picture Frame", "Door Mat", "Bicycle Bell", "Rucksack", "Umbrella", "Candle Holder", "Wall Clock",
        "\u{6E29}\u{6CC9} Towel", "Watering Can", "Seed Set", "Tool Roll", "Chess Board",
    ]
    private static let finishes = [
        "Oak", "Walnut", "Linen", "Brass", "Copper", "Slate", "Ivory", "Indigo", "Crimson", "Olive", "Amber",
        "Graphite", "Pearl", "Rust", "Sand", "Moss",
    ]

    private init() {
        var products: [Product] = []
        for (kindNumber, kind) in Self.kinds.enumerated() {
            for (finishNumber, finish) in Self.finishes.enumerated() {
                let number = kindNumber * Self.finishes.count + finishNumber
                let price = 190 + (number &* 7_919) % 14_000
                products.append(
                    Product(
                        id: "prod-\(paddedNumber(number + 1, width: 4))", name: "\(kind), \(finish)",
                        priceInEuroCents: price - price % 10 + 9))
            }
        }
        self.products = products
        popularity = ZipfDistribution(count: products.count, exponent: 0.8)
    }

    /// Selects a product for a line, with a price in the order's currency. Popular products are selected more often.
    func line(currency: ShopCurrency, using random: inout SeededGenerator) -> OrderLine {
        // The ranks are spread over the list, so that popular products are of different kinds.
        let product = products[popularity.sample(using: &random) &* 37 % products.count]
        let price = (Double(product.priceInEuroCents) * currency.minorPerEuroCent).rounded()
        let quantity = random.chance(0.7) ? 1 : 2 + random.below(4)
        return OrderLine(
            productID: product.id, name: product.name, quantity: Int32(quantity),
            unitPrice: currency.amount(minorUnits: Int64(price)))
    }
}

/// `number` in decimal with leading zeros up to `width` digits.
func paddedNumber(_ number: Int, width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}

internal import Orders

/// A customer of the shop. The same number is the same customer in every run.
struct Customer: Sendable {
    let id: String
    let name: String
    let email: String
    let country: String
    let currency: ShopCurrency
    let address: ShippingAddress
}

/// The customers of the shop. Some of them order much more often than others.
struct Customers: Sendable {
    let count: Int
    private let activity: ZipfDistribution

    init(count: Int) {
        self.count = count
        activity = ZipfDistribution(count: count, exponent: 1)
    }

    /// Selects the customer of the next order.
    func orderer(using random: inout SeededGenerator) -> Customer {
        Self.customer(number: activity.sample(using: &random) + 1)
    }

    /// - Parameter number: 1 or more; 1 is the most active.
    static func customer(number: Int) -> Customer {
        var random = SeededGenerator(seed: 0x5409, stream: UInt64(number))
        let (country, currency, cities) = random.pick(places)
        let (city, postalCode) = random.pick(cities)
        let (given, family) = (random.pick(givenNames), random.pick(familyNames))
        let street = "\(random.pick(streets)) \(1 + random.below(180))"
        let id = "cust-\(paddedNumber(number, width: 6))"
        return Customer(
            id: id, name: "\(given) \(family)", email: "\(id)@example.com", country: country, currency: currency,
            address: ShippingAddress(
                name: "\(given) \(family)", street: street, city: city, postalCode: postalCode, country: country))
    }

    private typealias Place = (country: String, currency: ShopCurrency, cities: [(String, String)])

    private static let places: [Place] = [
        ("DE", .euro, [("Köln", "50667"), ("Berlin", "10115"), ("Halle (Saale)", "06108")]),
        ("FR", .euro, [("Besançon", "25000"), ("Lyon", "69001")]),
        ("NL", .euro, [("'s-Hertogenbosch", "5211 AA"), ("Utrecht", "3511 AB")]),
        ("US", .dollar, [("Portland", "97201"), ("St. Louis", "63101"), ("Austin", "78701")]),
        ("GB", .pound, [("Leeds", "LS1 1UR"), ("Bristol", "BS1 4DJ")]),
        ("CH", .franc, [("Zürich", "8001"), ("Genève", "1201")]),
        ("JP", .yen, [("\u{4EAC}\u{90FD}\u{5E02}", "600-8216"), ("Sapporo", "060-0001")]),
    ]
    private static let streets = [
        "Lindenweg", "Rue de l'Église", "High Street", "Bahnhofstraße", "Main St", "Kastanienallee", "Quai Ouest",
        "Mill Road", "Ringvägen", "Dorpsstraat",
    ]
    private static let givenNames = [
        "Ada", "Zoë", "Jürgen", "Marie", "Søren", "Aiko", "Grace", "Mateo", "Nour", "Iris", "Tomás", "Noah",
        "Yuki", "Amélie", "Oskar", "Priya",
    ]
    private static let familyNames = [
        "Okafor", "Müller", "O'Brien", "García", "Tanaka", "van Dijk", "Nguyễn", "Smith", "Dubois", "Åberg",
        "Rossi", "Weber", "Patel", "Keller", "Ito", "Novák",
    ]
}

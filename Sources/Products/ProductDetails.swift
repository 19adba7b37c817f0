public import Events
public import WireJSON

/// The details of a product, without its price.
public struct ProductDetails: Hashable, Sendable {
    public let name: String
    public let description: String?
    public let category: String?
    public let tags: [String]
    public let imageURL: String?

    /// The maximum number of tags.
    public static let maximumTags = 50

    public init(
        name: String, description: String? = nil, category: String? = nil, tags: [String] = [], imageURL: String? = nil
    ) {
        self.name = name
        self.description = description
        self.category = category
        self.tags = tags
        self.imageURL = imageURL
    }

    /// Writes the members of an object.
    public func writeMembers(to writer: inout JSONWriter) {
        writer.member("name", name)
        writer.member("description", description)
        writer.member("category", category)
        writer.key("tags")
        writer.beginArray()
        for tag in tags { writer.string(tag) }
        writer.endArray()
        writer.member("imageUrl", imageURL)
    }

    /// Reads an object. Unknown members are skipped.
    public init(reading fields: inout FieldReader) throws(DecodeProblem) {
        var members = ProductMembers()
        let start = try fields.enterObject()
        while let key = try fields.nextKey() {
            if try !members.read(key, &fields) { try fields.skip() }
        }
        self = try members.details(in: start)
    }
}

/// The members of product events. A name means the same in all of them.
struct ProductMembers {
    private var name: String?
    private var description: String?
    private var category: String?
    private var tags: [String]?
    private var imageURL: String?
    private var amount: DecimalAmount?
    private var currency: Currency?
    private var rating: Int32?

    /// - Returns: false for an unknown member. Nothing was read then.
    mutating func read(_ key: JSONText, _ fields: inout FieldReader) throws(DecodeProblem) -> Bool {
        if fields.matches(key, "name") {
            try fields.once(name == nil, key)
            name = try fields.text()
        } else if fields.matches(key, "description") {
            try fields.once(description == nil, key)
            description = try Self.optionalText(&fields)
        } else if fields.matches(key, "category") {
            try fields.once(category == nil, key)
            category = try Self.optionalText(&fields)
        } else if fields.matches(key, "imageUrl") {
            try fields.once(imageURL == nil, key)
            imageURL = try Self.optionalText(&fields)
        } else if fields.matches(key, "tags") {
            try fields.once(tags == nil, key)
            tags = try Self.tags(&fields)
        } else if fields.matches(key, "price") {
            try fields.once(amount == nil, key)
            amount = try fields.amount()
        } else if fields.matches(key, "currency") {
            try fields.once(currency == nil, key)
            currency = try fields.currency()
        } else if fields.matches(key, "rating") {
            try fields.once(rating == nil, key)
            guard let value = Int32(exactly: try fields.integer()) else {
                throw DecodeProblem(.invalidValue, at: fields.json.offset - 1, "expected a rating from 1 to 5")
            }
            rating = value
        } else {
            return false
        }
        return true
    }

    private static func optionalText(_ fields: inout FieldReader) throws(DecodeProblem) -> String? {
        try fields.isNull() ? nil : try fields.text()
    }

    private static func tags(_ fields: inout FieldReader) throws(DecodeProblem) -> [String] {
        var tags: [String] = []
        try fields.enterArray()
        while try fields.nextElement() { tags.append(try fields.text()) }
        return tags
    }

    func details(in start: Int) throws(DecodeProblem) -> ProductDetails {
        ProductDetails(
            name: try FieldReader.required(name, "name", in: start), description: description, category: category,
            tags: tags ?? [], imageURL: imageURL)
    }

    func rating(in start: Int) throws(DecodeProblem) -> Int32 {
        try FieldReader.required(rating, "rating", in: start)
    }

    func price(in start: Int) throws(DecodeProblem) -> Money {
        Money(
            try FieldReader.required(amount, "price", in: start),
            try FieldReader.required(currency, "currency", in: start))
    }
}

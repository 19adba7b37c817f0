public import Commands
public import Events
internal import Products
internal import WireJSON

extension ProductCommands {
    /// The domain of products for a service.
    ///
    /// - Parameter currencies: the accepted currencies of prices.
    public static func domain(_ currencies: CurrencyTable) -> CommandDomain {
        CommandDomain(
            "products", migrationSets: migrationSets, commands: all, handlers: handlers(currencies),
            repositories: [ProductTables()],
            openAPI: OpenAPIPart(
                paths: PackageResources.openapi_paths_json, schemas: PackageResources.openapi_schemas_json),
            routes: routes)
    }

    private static func routes(_ bus: CommandBus, _ source: String) -> [CommandRoute] {
        let products = AggregateRoutes(resource, bus, source: source)
        return [
            products.create { id, call throws(CommandProblem) in
                try CommandForm.read(call) { fields in
                    let (form, start) = try ProductForm.read(&fields, hasDetails: true, hasPrice: true)
                    return CreateProduct(
                        productID: id, details: try form.details(in: start), price: try form.price(in: start))
                }
            },
            products.read(),
            products.change("/details") { id, call throws(CommandProblem) in
                try CommandForm.read(call) { fields in
                    let (form, start) = try ProductForm.read(&fields, hasDetails: true, hasPrice: false)
                    return ChangeProduct(productID: id, details: try form.details(in: start))
                }
            },
            products.change("/price") { id, call throws(CommandProblem) in
                try CommandForm.read(call) { fields in
                    let (form, start) = try ProductForm.read(&fields, hasDetails: false, hasPrice: true)
                    return ChangeProductPrice(productID: id, price: try form.price(in: start))
                }
            },
            products.change("/ratings") { id, call throws(CommandProblem) in
                try CommandForm.read(call) { fields in
                    var rating: Int32?
                    let start = try CommandForm.object(&fields) { key, fields in
                        guard fields.matches(key, "rating") else { return false }
                        rating = try CommandForm.quantity(&fields, else: ProductRule.invalidRating)
                        return true
                    }
                    return RateProduct(productID: id, rating: try FieldReader.required(rating, "rating", in: start))
                }
            },
            products.change("/retire") { id, call throws(CommandProblem) in
                try CommandForm.requireEmpty(call)
                return RetireProduct(productID: id)
            },
        ]
    }
}

/// Reads the bodies of requests about products.
private struct ProductForm {
    private var name: String?
    private var description: String?
    private var category: String?
    private var imageURL: String?
    private var tags: [String] = []
    private var amount: DecimalAmount?
    private var currency: Currency?

    /// - Returns: the form, and the start of its object.
    static func read(
        _ fields: inout FieldReader, hasDetails: Bool, hasPrice: Bool
    ) throws -> (form: ProductForm, start: Int) {
        var form = ProductForm()
        let start = try CommandForm.object(&fields) { key, fields in
            if hasDetails, try form.readDetails(key, &fields) { return true }
            return hasPrice ? try form.readPrice(key, &fields) : false
        }
        return (form, start)
    }

    private mutating func readDetails(_ key: JSONText, _ fields: inout FieldReader) throws -> Bool {
        if fields.matches(key, "name") {
            name = try CommandForm.text(&fields)
        } else if fields.matches(key, "description") {
            description = try CommandForm.text(&fields, maximum: 10_000)
        } else if fields.matches(key, "category") {
            category = try CommandForm.text(&fields)
        } else if fields.matches(key, "imageUrl") {
            imageURL = try CommandForm.text(&fields)
        } else if fields.matches(key, "tags") {
            try fields.enterArray()
            while try fields.nextElement() {
                // A list that is too long is not read completely.
                if tags.count > ProductDetails.maximumTags {
                    throw CommandForm.RuleBroken(Rejection(ProductRule.tooManyTags))
                }
                tags.append(try CommandForm.text(&fields))
            }
        } else {
            return false
        }
        return true
    }

    private mutating func readPrice(_ key: JSONText, _ fields: inout FieldReader) throws -> Bool {
        if fields.matches(key, "price") {
            amount = try fields.amount()
        } else if fields.matches(key, "currency") {
            currency = try CommandForm.currency(&fields, else: ProductRule.unknownCurrency)
        } else {
            return false
        }
        return true
    }

    func details(in start: Int) throws -> ProductDetails {
        ProductDetails(
            name: try FieldReader.required(name, "name", in: start), description: description, category: category,
            tags: tags, imageURL: imageURL)
    }

    func price(in start: Int) throws -> Money {
        Money(
            try FieldReader.required(amount, "price", in: start),
            try FieldReader.required(currency, "currency", in: start))
    }
}

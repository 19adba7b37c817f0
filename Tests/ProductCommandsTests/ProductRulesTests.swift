import CommandKit
import Events
import Products
import StreamCore
import Testing

/// The rules of products, implemented independently of the decider.
struct ProductModel: HistoryModel {
    typealias D = ProductDecider

    enum Step {
        case create(cents: Int, code: String)
        case change(name: Int, tags: Int)
        case price(cents: Int, code: String)
        case rate(Int32)
        case retire(tenant: String?)
    }

    private var name: String?
    private var tags = 0
    private var price = ""
    private var isRetired = false

    static func step(isFirst: Bool, using random: inout SplitMix64) -> Step {
        let cents = Int.random(in: -1...3, using: &random) * 50
        let code = ["EUR", "EUR", "EUR", "USD", "JPY", "XXX"].randomElement(using: &random) ?? "EUR"
        switch Int.random(in: 0..<(isFirst ? 3 : 20), using: &random) {
        case 0...2: return .create(cents: cents, code: code)
        case 3...9:
            return .change(
                name: Int.random(in: 0..<3, using: &random),
                tags: Int.random(in: 0..<8, using: &random) == 0 ? 51 : Int.random(in: 0..<2, using: &random))
        case 10...12: return .rate(Int32.random(in: 0...6, using: &random))
        case 13...18: return .price(cents: cents, code: code)
        default: return .retire(tenant: Bool.random(using: &random) ? "other" : nil)
        }
    }

    static func money(_ cents: Int, _ code: String) -> Money {
        guard let currency = Currency(code) else { preconditionFailure("\(code) is no currency") }
        return Money(DecimalAmount(coefficient: Int128(cents), scale: 2), currency)
    }

    static func details(_ name: String, tags: Int = 0) -> ProductDetails {
        ProductDetails(name: name, tags: (0..<tags).map { "tag \($0)" })
    }

    static func command(_ step: Step, after _: [ProductEvent]) -> (ProductCommand, ProductDecisionFacts) {
        switch step {
        case .create(let cents, let code):
            (.create(details("Cup"), price: money(cents, code)), ProductDecisionFacts())
        case .change(let name, let tags): (.change(details("Cup \(name)", tags: tags)), ProductDecisionFacts())
        case .price(let cents, let code): (.changePrice(money(cents, code)), ProductDecisionFacts())
        case .rate(let rating): (.rate(rating), ProductDecisionFacts())
        case .retire(let tenant): (.retire, ProductDecisionFacts(tenantID: tenant))
        }
    }

    private func refusal(_ cents: Int, _ code: String) -> String? {
        if code == "XXX" { return "unknown-currency" }
        return cents < 0 || code == "JPY" && cents % 100 != 0 ? "invalid-price" : nil
    }

    mutating func play(_ step: Step) -> String? {
        if case .create(let cents, let code) = step {
            if name != nil { return "product-exists" }
            if let refusal = refusal(cents, code) { return refusal }
            (name, price) = ("Cup", "\(cents) \(code)")
            return nil
        }
        if name == nil { return "unknown-product" }
        if case .retire(let tenant) = step, tenant != nil { return "unknown-product" }
        if isRetired { return "product-retired" }
        switch step {
        case .create: return nil
        case .change(let number, let count):
            if count > 50 { return "too-many-tags" }
            (name, tags) = ("Cup \(number)", count)
        case .price(let cents, let code):
            if let refusal = refusal(cents, code) { return refusal }
            price = "\(cents) \(code)"
        case .rate(let rating):
            if rating < 1 || rating > 5 { return "invalid-rating" }
        case .retire: isRetired = true
        }
        return nil
    }

    func isLike(_ state: ProductState?) -> Bool {
        guard let name else { return state == nil }
        let parts = price.split(separator: " ").map(String.init)
        return state?.details == Self.details(name, tags: tags) && state?.isRetired == isRetired
            && state?.price == Self.money(Int(parts[0]) ?? 0, parts[1])
    }
}

@Suite struct ProductRulesTests {
    @Test func tenThousandHistoriesAreAsTheModelSays() {
        Histories<ProductModel>.check("products", reaching: ProductRule.allCases.map(\.rawValue))
    }

    @Test func whatChangesNothingMakesNoEvent() throws {
        let details = ProductDetails(
            name: "Cup", description: "For tea", category: "Kitchen", tags: ["tea"], imageURL: "/cup.webp")
        let state = ProductState(
            tenantID: nil, details: details, price: ProductModel.money(350, "EUR"),
            last: EventMoment(at: Timestamp(microseconds: 1), eventID: EventID(high: 0, low: 1)))
        let same = Money(try DecimalAmount("3.5"), state.price.currency)
        #expect(try ProductDecider.decide(.change(details), state, ProductDecisionFacts()) == [])
        #expect(try ProductDecider.decide(.changePrice(same), state, ProductDecisionFacts()) == [])
    }
}

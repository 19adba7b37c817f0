import Events
import Foundation
import Orders
import StreamCore
import TestKit
import Testing

enum ShopCurrencies {
    static let euro: Currency = {
        guard let euro = Currency("EUR") else { preconditionFailure("EUR is a currency") }
        return euro
    }()
}

@Suite struct OrderRulesTests {
    static let euro = ShopCurrencies.euro

    static func cents(_ number: Int) -> DecimalAmount { DecimalAmount(coefficient: Int128(number), scale: 2) }

    static func line(_ product: String, _ pieces: Int, _ cents: Int) -> OrderLine {
        OrderLine(productID: product, name: product, quantity: Int32(pieces), unitPrice: Self.cents(cents))
    }

    static let address = ShippingAddress(name: "A", street: "B", city: "C", postalCode: "D", country: "DE")

    static func creation(_ lines: [OrderLine], _ currency: Currency = euro) -> OrderCreated {
        OrderCreated(customerID: "c", currency: currency, items: lines, shippingAddress: address)
    }

    /// An order and its events, as a repository would store them.
    struct History {
        var state: OrderState?
        var events: [OrderEvent] = []
        var isShipped = false

        mutating func send(
            _ command: OrderCommand, _ facts: OrderDecisionFacts
        ) -> String? {
            var facts = facts
            facts.isShipped = isShipped
            do {
                for payload in try OrderDecider.decide(command, state, facts) {
                    let number = Int64(events.count + 1)
                    let event = OrderEvent(
                        payload, of: "o", sequence: number, at: Timestamp(microseconds: number),
                        eventID: EventID(high: 1, low: UInt64(number)))
                    events.append(event)
                    state = OrderDecider.evolve(state, event)
                }
                return nil
            } catch {
                return error.rule.rawValue
            }
        }
    }

    static func command(_ step: OrderModel.Step) -> (OrderCommand, OrderDecisionFacts)? {
        var facts = OrderDecisionFacts(isCustomerKnown: true)
        switch step {
        case .create(let lines, let known):
            facts.isCustomerKnown = known
            return (.create(creation(lines.map { line($0.product, $0.pieces, $0.cents) })), facts)
        case .put(let product, let pieces, let cents, let isEuro):
            return (.addItem(line(product, pieces, cents), currency: isEuro ? nil : Currency("USD")), facts)
        case .remove(let product): return (.removeItem(productID: product), facts)
        case .confirm(let limit, let owed):
            facts.creditLimit = limit.map(cents)
            facts.outstanding = cents(owed)
            return (.confirm, facts)
        case .cancel: return (.cancel(reason: "r", by: "b"), facts)
        case .ship: return nil
        }
    }

    /// The rules give the same answers as an independent model, and the events alone produce the same state again.
    @Test func tenThousandHistoriesAreAsTheModelSays() throws {
        let seed = ProcessInfo.processInfo.environment["SEED"].flatMap { UInt64($0) } ?? .random(in: 0...999_999)
        print("histories of orders: SEED=\(seed)")
        var random = SplitMix64(seed: seed)
        var counts: [String: Int] = [:]
        for number in 0..<10_000 {
            var (model, history) = (OrderModel(), History())
            var steps: [OrderModel.Step] = []
            for place in 0..<Int.random(in: 3..<25, using: &random) {
                let step = OrderModel.step(isFirst: place == 0, using: &random)
                steps.append(step)
                let expected = model.play(step)
                var answer: String?
                if let (command, facts) = Self.command(step) {
                    answer = history.send(command, facts)
                } else {
                    history.isShipped = model.shipped
                }
                counts[answer ?? "done", default: 0] += 1
                guard answer == expected else {
                    Issue.record("SEED=\(seed), history \(number): \(answer ?? "done") after \(steps)")
                    return
                }
            }
            guard try isLike(history, model) else {
                Issue.record("SEED=\(seed), history \(number): another state after \(steps)")
                return
            }
        }
        // Each rule that the steps can break was broken more than 50 times.
        let reached = [
            "done", "unknown-order", "order-exists", "unknown-customer", "no-items", "duplicate-product",
            "invalid-quantity", "invalid-price", "currency-mismatch", "unknown-item", "last-item", "order-not-open",
            "total-below-minimum", "credit-limit-exceeded", "order-cancelled", "order-shipped",
        ]
        for rule in reached { #expect(counts[rule, default: 0] > 50, "\(rule): \(counts[rule, default: 0])") }
    }

    /// Whether the state equals the model's, and whether the events, encoded and decoded, produce it again.
    private func isLike(_ history: History, _ model: OrderModel) throws -> Bool {
        guard let state = history.state else { return !model.isThere && history.events.isEmpty }
        let pieces = Dictionary(uniqueKeysWithValues: state.lines.map { ($0.productID, Int($0.quantity)) })
        guard model.isThere, state.status.rawValue == model.status, state.total == Self.cents(model.total),
            pieces == model.pieces
        else { return false }
        var again: OrderState?
        for event in history.events {
            guard case .event(let decoded) = try OrderEventDecoder.decode(EventEncoder.envelope(event).span) else {
                return false
            }
            again = OrderDecider.evolve(again, decoded)
        }
        return again == state
    }

    @Test func amountsAreThoseOfTheirCurrency() throws {
        func rule(_ amount: String, _ code: String, pieces: Int32 = 1) throws -> String? {
            let line = OrderLine(
                productID: "p", name: "p", quantity: pieces, unitPrice: try DecimalAmount(amount))
            var history = History()
            let currency = try #require(Currency(code))
            return history.send(
                .create(Self.creation([line], currency)), OrderDecisionFacts(isCustomerKnown: true))
        }
        #expect(try rule("1.50", "EUR") == nil)
        #expect(try rule("1.500", "EUR") == nil)
        #expect(try rule("1.505", "EUR") == "invalid-price")
        #expect(try rule("1.505", "KWD") == nil)
        #expect(try rule("1.5", "JPY") == "invalid-price")
        #expect(try rule("1.5", "XXX") == "unknown-currency")
        #expect(try rule("999999999999999", "JPY") == nil)
        #expect(try rule("999999999999999", "JPY", pieces: 2) == "total-too-large")
        #expect(try rule("999999999999999.99", "EUR", pieces: .max) == "total-too-large")
    }

    @Test func theMinimumTotalIsTheCurrencys() throws {
        let yen = try #require(Currency("JPY"))
        let policy = OrderPolicy(minimumTotals: [yen: DecimalAmount(coefficient: 1_000, scale: 0)])
        for (currency, price, isEnough) in [
            (Self.euro, 10, true), (Self.euro, 9, false), (yen, 999, false), (yen, 1_000, true),
        ] {
            var history = History()
            let facts = OrderDecisionFacts(isCustomerKnown: true, policy: policy)
            let line = OrderLine(
                productID: "p", name: "p", quantity: 1, unitPrice: DecimalAmount(coefficient: Int128(price), scale: 0))
            #expect(history.send(.create(Self.creation([line], currency)), facts) == nil)
            #expect(history.send(.confirm, facts) == (isEnough ? nil : "total-below-minimum"))
        }
    }

    @Test func anotherTenantsOrderDoesNotExist() {
        var history = History()
        let facts = OrderDecisionFacts(isCustomerKnown: true)
        #expect(history.send(.create(Self.creation([Self.line("p", 1, 1_000)])), facts) == nil)
        var foreign = facts
        foreign.tenantID = "other"
        #expect(history.send(.confirm, foreign) == "unknown-order")
        #expect(history.send(.confirm, facts) == nil)
    }

    @Test func productsAreAskedForWhereThePolicySaysSo() {
        let strict = OrderPolicy(requiresKnownProducts: true)
        for (standing, rule) in [
            (ProductStanding.listed, nil), (.retired, "item-of-retired-product"), (nil, "item-of-unknown-product"),
        ] {
            var facts = OrderDecisionFacts(isCustomerKnown: true, policy: strict)
            facts.products = ["p": .listed]
            facts.products["q"] = standing
            let (one, two) = (Self.line("p", 1, 1_000), Self.line("q", 1, 1_000))
            var history = History()
            #expect(history.send(.create(Self.creation([one, two])), facts) == rule)
            var open = History()
            #expect(open.send(.create(Self.creation([one])), facts) == nil)
            #expect(open.send(.addItem(two, currency: nil), facts) == rule)
            facts.policy = OrderPolicy()
            #expect(open.send(.addItem(two, currency: nil), facts) == nil)
            // An item that is in the order remains valid, even if its product is no longer known.
            facts.policy = strict
            facts.products = [:]
            #expect(open.send(.confirm, facts) == nil)
        }
    }

    @Test func anOrderHasALimitOfItems() {
        let lines = (0...OrderPolicy.maximumItems).map { Self.line("p\($0)", 1, 100) }
        let facts = OrderDecisionFacts(isCustomerKnown: true)
        var history = History()
        #expect(history.send(.create(Self.creation(lines)), facts) == "too-many-items")
        #expect(history.send(.create(Self.creation(Array(lines.dropLast()))), facts) == nil)
        #expect(history.send(.addItem(lines[OrderPolicy.maximumItems], currency: nil), facts) == "too-many-items")
        #expect(history.send(.addItem(lines[0], currency: nil), facts) == nil)
    }
}

import CommandKit
import Events
import Orders
import StreamCore
import Testing

/// The rules of payments in whole cents, implemented independently of the decider.
struct PaymentModel: HistoryModel {
    typealias D = PaymentDecider

    enum Step {
        case authorize(Int, ShipmentModel.Order, isEuro: Bool)
        case capture(Int, isEuro: Bool)
        case fail
        case refund(Int, tenant: String?)
    }

    private var authorized: Int?
    private var captured: Int?
    private var hasFailed = false
    private var refunded = 0

    static func step(isFirst: Bool, using random: inout SplitMix64) -> Step {
        let cents = Int.random(in: -1...20, using: &random) * 50
        let isEuro = Int.random(in: 0..<12, using: &random) > 0
        switch Int.random(in: 0..<(isFirst ? 4 : 20), using: &random) {
        case 0...3:
            let order = ShipmentModel.Order.allCases.randomElement(using: &random) ?? .none
            return .authorize(cents, order, isEuro: isEuro)
        case 4...7: return .capture(cents, isEuro: isEuro)
        case 8: return .fail
        default: return .refund(cents / 2, tenant: Int.random(in: 0..<10, using: &random) == 0 ? "other" : nil)
        }
    }

    private static func money(_ cents: Int, _ isEuro: Bool = true) -> Money {
        guard let dollar = Currency("USD") else { preconditionFailure("USD is a currency") }
        return Money(OrderRulesTests.cents(cents), isEuro ? OrderRulesTests.euro : dollar)
    }

    static func command(_ step: Step, after _: [OrderEvent]) -> (PaymentCommand, PaymentDecisionFacts) {
        switch step {
        case .authorize(let cents, let order, let isEuro):
            let payment = PaymentAuthorized(orderID: "o", money: money(cents, isEuro), method: "card")
            return (.authorize(payment), PaymentDecisionFacts(order: ShipmentModel.state(of: order)))
        case .capture(let cents, let isEuro): return (.capture(money(cents, isEuro)), PaymentDecisionFacts())
        case .fail: return (.fail(reason: "declined"), PaymentDecisionFacts())
        case .refund(let cents, let tenant):
            return (.refund(money(cents), reason: "returned"), PaymentDecisionFacts(tenantID: tenant))
        }
    }

    mutating func play(_ step: Step) -> String? {
        if case .authorize(let cents, let order, let isEuro) = step {
            if authorized != nil { return "payment-exists" }
            if order == .none || order == .foreign { return "payment-without-order" }
            if !isEuro { return "currency-mismatch" }
            if cents < 1 { return "invalid-amount" }
            if order != .confirmed { return "order-not-confirmed" }
            authorized = cents
            return nil
        }
        guard let authorized else { return "unknown-payment" }
        if case .refund(_, let tenant) = step, tenant != nil { return "unknown-payment" }
        if hasFailed { return "payment-failed" }
        switch step {
        case .authorize: return nil
        case .capture(let cents, let isEuro):
            if captured != nil { return "payment-completed" }
            if !isEuro { return "currency-mismatch" }
            if cents < 1 { return "invalid-amount" }
            if cents > authorized { return "capture-too-large" }
            captured = cents
        case .fail:
            if captured != nil { return "payment-completed" }
            hasFailed = true
        case .refund(let cents, _):
            guard let captured else { return "payment-not-completed" }
            if cents < 1 { return "invalid-amount" }
            if refunded + cents > captured { return "refund-too-large" }
            refunded += cents
        }
        return nil
    }

    func isLike(_ state: PaymentState?) -> Bool {
        guard let authorized else { return state == nil }
        let status: PaymentState.Status = captured != nil ? .completed : hasFailed ? .failed : .authorized
        return state?.money == Self.money(captured ?? authorized) && state?.status == status
            && state?.refunded == OrderRulesTests.cents(refunded) && refunded <= captured ?? 0
    }
}

@Suite struct PaymentRulesTests {
    @Test func tenThousandHistoriesAreAsTheModelSays() {
        // A currency that does not exist is refused before a command is created.
        let reached = PaymentRule.allCases.filter { $0 != .unknownCurrency }
        Histories<PaymentModel>.check("payments", reaching: reached.map(\.rawValue))
    }

    /// A payment of the demo shop may fail and be completed later. The rules accept this.
    @Test func aPaymentThatFailedBeforeItsCompletionIsCompleted() {
        let moment = EventMoment(at: Timestamp(microseconds: 1), eventID: EventID(high: 0, low: 1))
        let state = PaymentState(
            tenantID: nil, orderID: "o", money: Money(OrderRulesTests.cents(500), OrderRulesTests.euro), method: "card",
            completed: moment, failure: PaymentState.Setback(moment: moment, reason: "declined"), last: moment)
        #expect(state.status == .completed)
        #expect(throws: Rejection(PaymentRule.paymentCompleted)) {
            try PaymentDecider.decide(.fail(reason: "r"), state, PaymentDecisionFacts())
        }
    }
}

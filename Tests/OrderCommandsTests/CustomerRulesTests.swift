import CommandKit
import Customers
import Events
import StreamCore
import Testing

/// The rules of customers, implemented independently of the decider.
struct CustomerModel: HistoryModel {
    typealias D = CustomerDecider

    enum Step {
        case register(email: String)
        case change(email: String)
        case forget(tenant: String?)
    }

    /// Nil before the registration; empty after the customer is forgotten.
    private var email: String?

    private static let emails = ["ada@example.org", "ada@example.com", "ada", "@", "ada@b@c", "ada @example.org"]

    static func step(isFirst: Bool, using random: inout SplitMix64) -> Step {
        let email = emails.randomElement(using: &random) ?? ""
        switch Int.random(in: 0..<(isFirst ? 3 : 10), using: &random) {
        case 0...2: return .register(email: email)
        case 3...8: return .change(email: email)
        default: return .forget(tenant: Bool.random(using: &random) ? "other" : nil)
        }
    }

    static func details(_ email: String) -> CustomerDetails {
        CustomerDetails(name: "Ada", email: email, country: "DE")
    }

    static func command(_ step: Step, after _: [CustomerEvent]) -> (CustomerCommand, CustomerDecisionFacts) {
        switch step {
        case .register(let email): (.register(details(email)), CustomerDecisionFacts())
        case .change(let email): (.change(details(email)), CustomerDecisionFacts())
        case .forget(let tenant): (.forget, CustomerDecisionFacts(tenantID: tenant))
        }
    }

    mutating func play(_ step: Step) -> String? {
        let isUsable = { (email: String) in email.hasPrefix("ada@example.") }
        switch step {
        case .register(let new):
            if email != nil { return "customer-exists" }
            if !isUsable(new) { return "invalid-email" }
            email = new
        case .change(let new):
            guard let email else { return "no-such-customer" }
            if email.isEmpty { return "customer-forgotten" }
            if !isUsable(new) { return "invalid-email" }
            self.email = new
        case .forget(let tenant):
            guard let email, tenant == nil else { return "no-such-customer" }
            if email.isEmpty { return "customer-forgotten" }
            self.email = ""
        }
        return nil
    }

    func isLike(_ state: CustomerState?) -> Bool {
        guard let email else { return state == nil }
        if email.isEmpty { return state?.isForgotten == true && state?.details == .forgotten }
        return state?.isForgotten == false && state?.details == Self.details(email)
    }
}

@Suite struct CustomerRulesTests {
    @Test func tenThousandHistoriesAreAsTheModelSays() {
        Histories<CustomerModel>.check("customers", reaching: CustomerRule.allCases.map(\.rawValue))
    }

    /// The first command for a customer that another program wrote emits an event, because readers do not know the
    /// customer.
    @Test func theFirstEventMayChangeNothing() throws {
        let details = CustomerModel.details("ada@example.org")
        var state = CustomerState(tenantID: nil, details: details, last: nil)
        let first = try CustomerDecider.decide(.change(details), state, CustomerDecisionFacts())
        #expect(first == [.customerChanged(details)])
        state.last = EventMoment(at: Timestamp(microseconds: 1), eventID: EventID(high: 0, low: 1))
        #expect(try CustomerDecider.decide(.change(details), state, CustomerDecisionFacts()) == [])
    }
}

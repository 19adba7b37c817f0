public import Events
internal import StreamCore

/// The commands of a customer.
public enum CustomerCommand: Hashable, Sendable {
    case register(CustomerDetails)
    case change(CustomerDetails)
    case forget
}

/// The state of a customer that the rules and the answers need.
public struct CustomerState: Hashable, Sendable, TenantOwned {
    /// The tenant of the customer, if tenants are told apart.
    public var tenantID: String?
    public var details: CustomerDetails
    public var isForgotten: Bool
    /// The last event; nil for a customer that another program has written.
    public var last: EventMoment?

    public init(tenantID: String?, details: CustomerDetails, isForgotten: Bool = false, last: EventMoment?) {
        self.tenantID = tenantID
        self.details = details
        self.isForgotten = isForgotten
        self.last = last
    }
}

/// What the rules of customers need to know besides the customer.
public struct CustomerDecisionFacts: Hashable, Sendable, TenantOwned {
    /// The tenant that sends the command. Customers of other tenants do not exist for the command.
    public var tenantID: String?

    public init(tenantID: String? = nil) {
        self.tenantID = tenantID
    }
}

/// The rules of customers. A command that would change nothing makes no event, with one exception: if another program
/// has written the customer, no event describes it yet, so readers do not know it.
public enum CustomerDecider: TenantDecider {
    public typealias State = CustomerState
    public typealias Command = CustomerCommand
    public typealias Payload = CustomerEventPayload
    public typealias Rules = CustomerRule
    public typealias Facts = CustomerDecisionFacts
    public typealias Refusal = Rejection<CustomerRule>

    public static let kind = CustomerKind.customer
    public static let unknown = CustomerRule.unknownCustomer

    public static func decide(
        _ command: CustomerCommand, _ state: CustomerState?, _ facts: CustomerDecisionFacts
    ) throws(Refusal) -> [CustomerEventPayload] {
        if case .register(let details) = command {
            if state != nil { throw Refusal(.customerExists) }
            try check(details)
            return [.customerRegistered(details)]
        }
        let state = try known(state, facts)
        if state.isForgotten { throw Refusal(.customerForgotten) }
        switch command {
        case .register: return []
        case .change(let details):
            try check(details)
            return details == state.details && state.last != nil ? [] : [.customerChanged(details)]
        case .forget: return [.customerForgotten]
        }
    }

    /// Finds text that was typed into the wrong field. Only the mail server can decide whether an e-mail address is
    /// valid.
    private static func check(_ details: CustomerDetails) throws(Refusal) {
        let parts = details.email.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty }), !details.email.contains(where: \.isWhitespace)
        else { throw Refusal(.invalidEmail) }
    }

    // MARK: events

    public static func evolve(_ state: CustomerState?, _ event: CustomerEvent) -> CustomerState? {
        let moment = EventMoment(at: event.identity.timestamp, eventID: event.identity.eventID)
        if case .customerRegistered(let details) = event.payload {
            return CustomerState(tenantID: event.metadata.tenantID, details: details, last: moment)
        }
        guard var state else { return nil }
        state.last = moment
        switch event.payload {
        case .customerRegistered: break
        case .customerChanged(let details): state.details = details
        case .customerForgotten:
            state.details = .forgotten
            state.isForgotten = true
        }
        return state
    }
}

public import Events

/// The state of a payment that the rules and the answers need.
public struct PaymentState: Hashable, Sendable, TenantOwned {
    public enum Status: String, Sendable {
        case authorized, completed, failed
    }

    /// A failure or a refund.
    public struct Setback: Hashable, Sendable {
        public let moment: EventMoment
        public let reason: String

        public init(moment: EventMoment, reason: String) {
            self.moment = moment
            self.reason = reason
        }
    }

    /// The tenant of the payment, which is the order's, if tenants are told apart.
    public var tenantID: String?
    public var orderID: String
    /// The captured amount; before the capture, the authorized amount.
    public var money: Money
    /// `card`, `invoice` and the like.
    public var method: String
    public var authorized: EventMoment?
    public var completed: EventMoment?
    public var failure: Setback?
    /// The last refund.
    public var refund: Setback?
    /// The sum of all refunds.
    public var refunded: DecimalAmount
    /// The last event.
    public var last: EventMoment

    public init(
        tenantID: String?, orderID: String, money: Money, method: String, authorized: EventMoment? = nil,
        completed: EventMoment? = nil, failure: Setback? = nil, refund: Setback? = nil,
        refunded: DecimalAmount = .zero, last: EventMoment
    ) {
        self.tenantID = tenantID
        self.orderID = orderID
        self.money = money
        self.method = method
        self.authorized = authorized
        self.completed = completed
        self.failure = failure
        self.refund = refund
        self.refunded = refunded
        self.last = last
    }

    /// A completed payment stays completed, whatever failed before it.
    public var status: Status {
        if completed != nil { return .completed }
        return failure == nil ? .authorized : .failed
    }
}

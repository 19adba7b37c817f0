public import Events
internal import StreamCore

/// The commands of a payment.
public enum PaymentCommand: Hashable, Sendable {
    case authorize(PaymentAuthorized)
    /// Captures the authorized amount or a part of it. The rest of the authorization is released.
    case capture(Money)
    case fail(reason: String)
    /// Refunds captured money, completely or in parts.
    case refund(Money, reason: String)
}

/// What the rules of payments need to know besides the payment.
public struct PaymentDecisionFacts: Hashable, Sendable, TenantOwned {
    /// The tenant that sends the command. Payments and orders of other tenants do not exist for the command.
    public var tenantID: String?
    /// The order of a payment that is authorized; nil if there is none.
    public var order: OrderState?
    public var currencies: CurrencyTable

    public init(tenantID: String? = nil, order: OrderState? = nil, currencies: CurrencyTable = .standard) {
        self.tenantID = tenantID
        self.order = order
        self.currencies = currencies
    }
}

/// The rules of payments: authorized, then captured or failed; a captured payment can be refunded, a failed one cannot
/// be changed.
public enum PaymentDecider: TenantDecider {
    public typealias State = PaymentState
    public typealias Command = PaymentCommand
    public typealias Payload = OrderEventPayload
    public typealias Rules = PaymentRule
    public typealias Facts = PaymentDecisionFacts
    public typealias Refusal = Rejection<PaymentRule>

    public static let kind = AggregateType.payment
    public static let unknown = PaymentRule.unknownPayment

    public static func decide(
        _ command: PaymentCommand, _ state: PaymentState?, _ facts: PaymentDecisionFacts
    ) throws(Refusal) -> [OrderEventPayload] {
        if case .authorize(let payment) = command { return [try authorize(payment, state, facts)] }
        let state = try known(state, facts)
        if state.status == .failed { throw Refusal(.paymentFailed) }
        switch command {
        case .authorize: return []
        case .capture(let money):
            try requireAuthorized(state)
            try check(money, in: state.money.currency, facts)
            if money.amount > state.money.amount {
                throw Refusal(.captureTooLarge, "\(state.money) is authorized.")
            }
            let payment = PaymentCompleted(orderID: state.orderID, money: money, method: state.method)
            return [.paymentCompleted(payment)]
        case .fail(let reason):
            try requireAuthorized(state)
            return [.paymentFailed(PaymentSetback(orderID: state.orderID, money: state.money, reason: reason))]
        case .refund(let money, let reason):
            guard state.status == .completed else { throw Refusal(.paymentNotCompleted) }
            try check(money, in: state.money.currency, facts)
            guard let sum = try? state.refunded.adding(money.amount), sum <= state.money.amount else {
                throw Refusal(
                    .refundTooLarge, "\(state.refunded) of \(state.money) is refunded already.")
            }
            return [.paymentRefunded(PaymentSetback(orderID: state.orderID, money: money, reason: reason))]
        }
    }

    private static func authorize(
        _ payment: PaymentAuthorized, _ state: PaymentState?, _ facts: PaymentDecisionFacts
    ) throws(Refusal) -> OrderEventPayload {
        if state != nil { throw Refusal(.paymentExists) }
        guard let order = facts.order, order.tenantID == facts.tenantID else { throw Refusal(.paymentWithoutOrder) }
        try check(payment.money, in: order.currency, facts)
        if order.status != .confirmed {
            throw Refusal(.orderNotConfirmed, "The order is \(order.status.rawValue).")
        }
        return .paymentAuthorized(payment)
    }

    private static func requireAuthorized(_ state: PaymentState) throws(Refusal) {
        if state.status != .authorized { throw Refusal(.paymentCompleted) }
    }

    private static func check(
        _ money: Money, in currency: Currency, _ facts: PaymentDecisionFacts
    ) throws(Refusal) {
        guard money.currency == currency else {
            throw Refusal(.currencyMismatch, "The order is in \(currency), but the amount is in \(money.currency).")
        }
        guard money.amount.coefficient > 0, facts.currencies.fits(money.amount, currency) else {
            throw Refusal(.invalidAmount)
        }
    }

    // MARK: events

    public static func evolve(_ state: PaymentState?, _ event: OrderEvent) -> PaymentState? {
        let moment = EventMoment(at: event.identity.timestamp, eventID: event.identity.eventID)
        if case .paymentAuthorized(let payment) = event.payload {
            return PaymentState(
                tenantID: event.metadata.tenantID, orderID: payment.orderID, money: payment.money,
                method: payment.method, authorized: moment, last: moment)
        }
        guard var state else { return nil }
        switch event.payload {
        case .paymentCompleted(let payment):
            state.completed = moment
            state.money = payment.money
        case .paymentFailed(let setback):
            state.failure = PaymentState.Setback(moment: moment, reason: setback.reason)
        case .paymentRefunded(let setback):
            state.refund = PaymentState.Setback(moment: moment, reason: setback.reason)
            state.refunded = (try? state.refunded.adding(setback.money.amount)) ?? state.money.amount
        case .orderCreated, .itemAdded, .itemRemoved, .orderConfirmed, .orderCancelled, .paymentAuthorized,
            .shipmentCreated, .shipmentDelivered:
            return state
        }
        state.last = moment
        return state
    }
}

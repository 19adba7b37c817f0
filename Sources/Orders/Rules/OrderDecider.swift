public import Events
internal import StreamCore

/// The commands for an order.
public enum OrderCommand: Hashable, Sendable {
    case create(OrderCreated)
    /// Sets the line of a product. If a currency is given, it must be the order's.
    case addItem(OrderLine, currency: Currency?)
    case removeItem(productID: String)
    case confirm
    case cancel(reason: String, by: String)
}

/// What the rules of orders need to know besides the order.
public struct OrderDecisionFacts: Hashable, Sendable, TenantOwned {
    /// The tenant that sends the command. Orders of other tenants do not exist for the command.
    public var tenantID: String?
    public var isCustomerKnown: Bool
    /// The state of the products of the command's lines in the catalogue. The policy decides whether it matters.
    public var products: [String: ProductStanding] = [:]
    /// The maximum that the customer may owe in the order's currency; nil for no limit.
    public var creditLimit: DecimalAmount?
    /// What the customer owes in that currency for confirmed orders that are not paid.
    public var outstanding: DecimalAmount
    /// Whether the order has shipments. The order's own events do not say this, because shipments are other aggregates.
    public var isShipped: Bool
    public var policy: OrderPolicy

    public init(
        tenantID: String? = nil, isCustomerKnown: Bool = false, creditLimit: DecimalAmount? = nil,
        outstanding: DecimalAmount = .zero, isShipped: Bool = false, policy: OrderPolicy = OrderPolicy()
    ) {
        self.tenantID = tenantID
        self.isCustomerKnown = isCustomerKnown
        self.creditLimit = creditLimit
        self.outstanding = outstanding
        self.isShipped = isShipped
        self.policy = policy
    }
}

/// Whether a product can be ordered, as the catalogue has it. A product without one is not in the catalogue.
public enum ProductStanding: Hashable, Sendable {
    case listed
    case retired
}

/// The rules of orders.
public enum OrderDecider: TenantDecider {
    public typealias State = OrderState
    public typealias Command = OrderCommand
    public typealias Payload = OrderEventPayload
    public typealias Rules = OrderRule
    public typealias Facts = OrderDecisionFacts
    public typealias Refusal = Rejection<OrderRule>

    public static let kind = AggregateType.order
    public static let unknown = OrderRule.unknownOrder

    public static func decide(
        _ command: OrderCommand, _ state: OrderState?, _ facts: OrderDecisionFacts
    ) throws(Refusal) -> [OrderEventPayload] {
        if case .create(let order) = command { return [try create(order, state, facts)] }
        let state = try known(state, facts)
        switch command {
        case .create: return []
        case .addItem(let line, let currency): return [try add(line, currency, state, facts)]
        case .removeItem(let productID): return [try remove(productID, state)]
        case .confirm: return [try confirm(state, facts)]
        case .cancel(let reason, let by): return [try cancel(state, facts, reason: reason, by: by)]
        }
    }

    private static func create(
        _ order: OrderCreated, _ state: OrderState?, _ facts: OrderDecisionFacts
    ) throws(Refusal) -> OrderEventPayload {
        if state != nil { throw Refusal(.orderExists) }
        guard facts.policy.currencies.digits(of: order.currency) != nil else {
            throw Refusal(.unknownCurrency, "The currency \(order.currency) is not accepted.")
        }
        if order.items.isEmpty { throw Refusal(.noItems) }
        if order.items.count > OrderPolicy.maximumItems { throw Refusal(.tooManyItems) }
        var products: Set<String> = []
        for line in order.items {
            guard products.insert(line.productID).inserted else {
                throw Refusal(.duplicateProduct, "The order contains the product \(line.productID) twice.")
            }
            try check(line, order.currency, facts.policy)
        }
        if OrderState.total(of: order.items) == nil { throw Refusal(.totalTooLarge) }
        if !facts.isCustomerKnown { throw Refusal(.unknownCustomer) }
        for line in order.items { try checkProduct(of: line, facts) }
        return .orderCreated(order)
    }

    private static func check(
        _ line: OrderLine, _ currency: Currency, _ policy: OrderPolicy
    ) throws(Refusal) {
        if line.quantity < 1 { throw Refusal(.invalidQuantity) }
        guard line.unitPrice.coefficient >= 0, policy.currencies.fits(line.unitPrice, currency) else {
            throw Refusal(.invalidPrice, "The price of \(line.productID) is not a valid amount in \(currency).")
        }
    }

    private static func checkProduct(of line: OrderLine, _ facts: OrderDecisionFacts) throws(Refusal) {
        guard facts.policy.requiresKnownProducts else { return }
        switch facts.products[line.productID] {
        case .listed: break
        case .retired: throw Refusal(.retiredProduct, "The product \(line.productID) is retired.")
        case nil: throw Refusal(.unknownProduct, "The product \(line.productID) is not in the catalogue.")
        }
    }

    private static func add(
        _ line: OrderLine, _ currency: Currency?, _ state: OrderState, _ facts: OrderDecisionFacts
    ) throws(Refusal) -> OrderEventPayload {
        try requireOpen(state)
        if let currency, currency != state.currency {
            throw Refusal(.currencyMismatch, "The order is in \(state.currency), but the price is in \(currency).")
        }
        try check(line, state.currency, facts.policy)
        var changed = state
        changed.put(line)
        if changed.lines.count > OrderPolicy.maximumItems { throw Refusal(.tooManyItems) }
        if changed.total == nil { throw Refusal(.totalTooLarge) }
        try checkProduct(of: line, facts)
        return .itemAdded(line)
    }

    private static func remove(_ productID: String, _ state: OrderState) throws(Refusal) -> OrderEventPayload {
        try requireOpen(state)
        guard state.lines.contains(where: { $0.productID == productID }) else { throw Refusal(.unknownItem) }
        if state.lines.count == 1 { throw Refusal(.lastItem) }
        return .itemRemoved(productID: productID)
    }

    private static func confirm(
        _ state: OrderState, _ facts: OrderDecisionFacts
    ) throws(Refusal) -> OrderEventPayload {
        try requireOpen(state)
        guard let total = state.total else { throw Refusal(.totalTooLarge) }
        let minimum = facts.policy.minimumTotal(in: state.currency)
        if total < minimum {
            throw Refusal(.totalBelowMinimum, "The total is \(total) \(state.currency), but the minimum is \(minimum).")
        }
        if let limit = facts.creditLimit {
            guard let owed = try? facts.outstanding.adding(total), owed <= limit else {
                throw Refusal(.creditLimitExceeded)
            }
        }
        return .orderConfirmed
    }

    private static func cancel(
        _ state: OrderState, _ facts: OrderDecisionFacts, reason: String, by: String
    ) throws(Refusal) -> OrderEventPayload {
        if state.status == .cancelled { throw Refusal(.orderCancelled) }
        if facts.isShipped { throw Refusal(.orderShipped) }
        return .orderCancelled(OrderCancelled(reason: reason, cancelledBy: by))
    }

    private static func requireOpen(_ state: OrderState) throws(Refusal) {
        if state.status != .created { throw Refusal(.orderNotOpen, "The order is \(state.status.rawValue).") }
    }

    // MARK: events

    public static func evolve(_ state: OrderState?, _ event: OrderEvent) -> OrderState? {
        let at = event.identity.timestamp
        if case .orderCreated(let order) = event.payload {
            return OrderState(
                tenantID: event.metadata.tenantID, customerID: order.customerID, currency: order.currency,
                status: .created, lines: order.items.sorted { $0.productID < $1.productID },
                shippingAddress: order.shippingAddress, createdAt: at, updatedAt: at,
                lastEventID: event.identity.eventID)
        }
        guard var state else { return nil }
        switch event.payload {
        case .itemAdded(let line): state.put(line)
        case .itemRemoved(let productID): state.lines.removeAll { $0.productID == productID }
        case .orderConfirmed:
            state.status = .confirmed
            state.confirmedAt = at
        case .orderCancelled(let cancellation):
            state.status = .cancelled
            state.cancellation = OrderState.Cancellation(
                at: at, reason: cancellation.reason, by: cancellation.cancelledBy)
        case .orderCreated, .paymentAuthorized, .paymentCompleted, .paymentFailed, .paymentRefunded, .shipmentCreated,
            .shipmentDelivered:
            return state
        }
        state.updatedAt = at
        state.lastEventID = event.identity.eventID
        return state
    }
}

public import Events
public import StreamCore

/// The commands for the stock of a product. Each has a number of pieces. All except the first concern an order.
public enum InventoryCommand: Hashable, Sendable {
    case receive(Int32)
    case reserve(Int32, orderID: String)
    case release(Int32, orderID: String)
    case ship(Int32, orderID: String)
}

/// The state of a product's stock that the rules and the answers need. The pieces that are reserved for each order are
/// separate facts, because many orders may have reserved one product, and a command should not read all of them.
public struct InventoryState: Hashable, Sendable, TenantOwned {
    /// The tenant of the stock, if tenants are told apart.
    public var tenantID: String?
    public var onHand: Int64
    public var reserved: Int64
    public var updatedAt: Timestamp
    public var lastEventID: EventID

    /// The number of pieces that can be reserved.
    public var available: Int64 { onHand - reserved }

    public init(tenantID: String?, onHand: Int64, reserved: Int64, updatedAt: Timestamp, lastEventID: EventID) {
        self.tenantID = tenantID
        self.onHand = onHand
        self.reserved = reserved
        self.updatedAt = updatedAt
        self.lastEventID = lastEventID
    }
}

/// What the rules of stock need to know besides the stock.
public struct InventoryFacts: Hashable, Sendable, TenantOwned {
    /// The tenant that sends the command. The stock of other tenants does not exist for the command.
    public var tenantID: String?
    /// The number of pieces that are reserved for the command's order.
    public var reservedForOrder: Int64

    public init(tenantID: String? = nil, reservedForOrder: Int64 = 0) {
        self.tenantID = tenantID
        self.reservedForOrder = reservedForOrder
    }
}

/// The rules of stock: only available pieces can be reserved, and only reserved pieces can be shipped.
public enum InventoryDecider: TenantDecider {
    public typealias State = InventoryState
    public typealias Command = InventoryCommand
    public typealias Payload = InventoryEventPayload
    public typealias Rules = InventoryRule
    public typealias Facts = InventoryFacts
    public typealias Refusal = Rejection<InventoryRule>

    public static let kind = InventoryKind.inventory
    public static let unknown = InventoryRule.unknownStock

    /// Maximum number of pieces of one product. With it, the sum of any two numbers of pieces fits into 64 bits.
    public static let maximumOnHand: Int64 = 1_000_000_000_000

    public static func decide(
        _ command: InventoryCommand, _ state: InventoryState?, _ facts: InventoryFacts
    ) throws(Refusal) -> [InventoryEventPayload] {
        switch command {
        case .receive(let quantity): [.stockChanged(try receive(quantity, state, facts))]
        case .reserve(let quantity, let orderID):
            [.stockChanged(try reserve(quantity, orderID, try known(state, facts), facts))]
        case .release(let quantity, let orderID):
            [.stockChanged(try takeBack(.released, quantity, orderID, try known(state, facts), facts))]
        case .ship(let quantity, let orderID):
            [.stockChanged(try takeBack(.shipped, quantity, orderID, try known(state, facts), facts))]
        }
    }

    /// The first receipt creates the stock.
    private static func receive(
        _ quantity: Int32, _ state: InventoryState?, _ facts: InventoryFacts
    ) throws(Refusal) -> StockChanged {
        if state != nil { _ = try known(state, facts) }
        try check(quantity)
        let onHand = (state?.onHand ?? 0) + Int64(quantity)
        if onHand > maximumOnHand { throw Refusal(.stockTooLarge) }
        return StockChanged(reason: .received, quantity: quantity, onHand: onHand, reserved: state?.reserved ?? 0)
    }

    private static func reserve(
        _ quantity: Int32, _ orderID: String, _ state: InventoryState, _ facts: InventoryFacts
    ) throws(Refusal) -> StockChanged {
        try check(quantity)
        if state.available < Int64(quantity) {
            throw Refusal(.insufficientStock, "\(state.available) pieces are available.")
        }
        return StockChanged(
            reason: .reserved, quantity: quantity,
            reservation: .init(orderID: orderID, quantity: facts.reservedForOrder + Int64(quantity)),
            onHand: state.onHand, reserved: state.reserved + Int64(quantity))
    }

    /// Reduces the order's reservation. Pieces that are shipped also leave the stock.
    private static func takeBack(
        _ reason: StockChanged.Reason, _ quantity: Int32, _ orderID: String, _ state: InventoryState,
        _ facts: InventoryFacts
    ) throws(Refusal) -> StockChanged {
        try check(quantity)
        let rest = facts.reservedForOrder - Int64(quantity)
        if rest < 0 { throw Refusal(.notReserved, "\(facts.reservedForOrder) pieces are reserved for the order.") }
        return StockChanged(
            reason: reason, quantity: quantity, reservation: .init(orderID: orderID, quantity: rest),
            onHand: state.onHand - (reason == .shipped ? Int64(quantity) : 0),
            reserved: state.reserved - Int64(quantity))
    }

    private static func check(_ quantity: Int32) throws(Refusal) {
        if quantity < 1 { throw Refusal(.invalidQuantity) }
    }

    // MARK: events

    public static func evolve(_ state: InventoryState?, _ event: InventoryEvent) -> InventoryState? {
        switch event.payload {
        case .stockChanged(let change):
            InventoryState(
                tenantID: state == nil ? event.metadata.tenantID : state?.tenantID, onHand: change.onHand,
                reserved: change.reserved, updatedAt: event.identity.timestamp, lastEventID: event.identity.eventID)
        }
    }
}

public import Commands
internal import Events
internal import Inventory

/// Adds pieces to the stock of a product. The first receipt creates the stock.
public struct ReceiveStock: Command, Hashable {
    public static let name = "ReceiveStock"
    public let productID: String
    public let quantity: Int32

    public init(productID: String, quantity: Int32) {
        self.productID = productID
        self.quantity = quantity
    }
}

/// A quantity of a product for an order.
public struct OrderStock: Hashable, Sendable {
    public let productID: String
    public let orderID: String
    public let quantity: Int32

    public init(productID: String, orderID: String, quantity: Int32) {
        self.productID = productID
        self.orderID = orderID
        self.quantity = quantity
    }
}

/// Reserves pieces for an order, in addition to those that are already reserved.
public struct ReserveStock: Command, Hashable {
    public static let name = "ReserveStock"
    public let stock: OrderStock

    public init(_ stock: OrderStock) {
        self.stock = stock
    }
}

/// Releases reserved pieces of an order.
public struct ReleaseStock: Command, Hashable {
    public static let name = "ReleaseStock"
    public let stock: OrderStock

    public init(_ stock: OrderStock) {
        self.stock = stock
    }
}

/// Removes reserved pieces of an order from the stock.
public struct ShipStock: Command, Hashable {
    public static let name = "ShipStock"
    public let stock: OrderStock

    public init(_ stock: OrderStock) {
        self.stock = stock
    }
}

/// The commands of stock, for a command bus.
public enum InventoryCommands {
    /// The migration sets that the commands need. Their events are written to the table of `outbox`.
    public static let migrationSets = ["outbox", "inventory", "commands"]

    public static let all: [any Command.Type] = [
        ReceiveStock.self, ReserveStock.self, ReleaseStock.self, ShipStock.self,
    ]

    static let resource = AggregateResource<InventoryDecider>("/v1/inventory", document: InventoryDocument.json)

    public static let handlers: [CommandHandler] = [
        resource.handler(
            ReceiveStock.self, { $0.productID }, { .receive($0.quantity) },
            facts: { _, scope in InventoryFacts(tenantID: scope.tenantID) }),
        order(ReserveStock.self, { $0.stock }, { .reserve($0.quantity, orderID: $0.orderID) }, change: +),
        order(ReleaseStock.self, { $0.stock }, { .release($0.quantity, orderID: $0.orderID) }, change: -),
        order(ShipStock.self, { $0.stock }, { .ship($0.quantity, orderID: $0.orderID) }, change: -),
    ]

    /// The handler of a command that changes the reservation of an order.
    ///
    /// - Parameter change: computes the new reservation of the order from the old one and the quantity.
    private static func order<C: Command>(
        _: C.Type, _ stock: @escaping @Sendable (C) -> OrderStock,
        _ told: @escaping @Sendable (OrderStock) -> InventoryCommand,
        change: @escaping @Sendable (Int64, Int64) -> Int64
    ) -> CommandHandler {
        resource.handler(
            C.self, { stock($0).productID }, { told(stock($0)) },
            reads: { command, plan in plan.fact(OrderReservation.self, OrderReservation.key(stock(command))) },
            facts: { command, scope in
                let reserved = scope.fact(OrderReservation.self, OrderReservation.key(stock(command)))
                return InventoryFacts(tenantID: scope.tenantID, reservedForOrder: reserved)
            },
            then: { command, scope in
                scope.changeFact(OrderReservation.self, OrderReservation.key(stock(command))) {
                    $0 = change($0, Int64(stock(command).quantity))
                }
            })
    }
}

public import Commands
internal import Events
internal import Inventory
internal import InventoryCommands
internal import OrderCommands
internal import Orders

/// Reserves the pieces of all lines of a confirmed order, or none.
public struct ReserveOrder: Command, Hashable {
    public static let name = "ReserveOrder"
    public let orderID: String
}

/// Releases the pieces that are still reserved for the lines of an order.
public struct ReleaseOrder: Command, Hashable {
    public static let name = "ReleaseOrder"
    public let orderID: String
}

/// Authorizes the payment of an order's total.
public struct AuthorizeOrder: Command, Hashable {
    public static let name = "AuthorizeOrder"
    public let orderID: String
    public let paymentID: String
    public let method: String
}

/// Captures the payment of an order if it is not captured yet, removes the pieces from the stock, and ships them as one
/// parcel. Either all of this takes effect, or none.
public struct ShipOrder: Command, Hashable {
    public static let name = "ShipOrder"
    public let orderID: String
    public let paymentID: String
    public let shipmentID: String
    public let carrier: String
}

/// Fails an authorized payment, or refunds the rest of a captured one. It does nothing with a failed payment.
public struct ReturnPayment: Command, Hashable {
    public static let name = "ReturnPayment"
    public let paymentID: String
    public let reason: String
}

/// The commands of the process of orders. They consist of commands of orders, payments, shipments and inventory, whose
/// tables must be in one database.
public enum OrderProcessCommands {
    /// The migration sets that the process needs.
    public static let migrationSets = ["outbox", "orders", "inventory", "commands", "processes"]

    private static let parts = CommandParts(
        InventoryCommands.handlers + PaymentCommands.handlers(.standard) + ShipmentCommands.handlers)

    /// Creates the executor for the commands of all steps.
    ///
    /// - Parameters:
    ///   - readModels: applies the events to read models that commands update; nil if the program cannot.
    ///   - notifyChannel: the relay's channel; nil for none.
    public static func executor(
        readModels: (any InlineReadModels)? = nil, notifyChannel: String? = nil
    ) throws(CommandBusError) -> CommandExecutor {
        // The process only cancels orders, so the settings of the other rules of orders are not used.
        let cancelling = OrderCommands.handlers(OrderPolicy())
        return try CommandExecutor(
            commands: [
                ReserveOrder.self, ReleaseOrder.self, AuthorizeOrder.self, ShipOrder.self, ReturnPayment.self,
                CancelOrder.self, FailPayment.self,
            ],
            handlers: [reserve, release, authorize, ship, giveBack] + cancelling + PaymentCommands.handlers(.standard),
            repositories: [OrderTables(), PaymentTables(), ShipmentTables(), InventoryTables()],
            readModels: readModels, notifyChannel: notifyChannel)
    }

    // MARK: shared parts

    /// The handler of a command about an order. It reads the order first, because the further reads depend on the
    /// lines.
    ///
    /// - Parameter further: adds the further reads, if the order exists.
    private static func onOrder<C: Command>(
        _: C.Type, _ id: @escaping @Sendable (C) -> String,
        further: @escaping @Sendable (C, OrderState, inout ReadPlan) -> Void,
        handle: @escaping @Sendable (C, OrderState, CommandScope) throws(Refusal) -> Void
    ) -> CommandHandler {
        CommandHandler(
            C.self, on: [OrderDecider.self] + parts.aggregates,
            reads: { command, plan in
                plan.aggregate(OrderDecider.self, id(command))
                plan.fact(HasShipments.self, id(command))
            },
            furtherReads: { command, scope, plan in
                if let order = scope.aggregate(OrderDecider.self, id(command))?.state { further(command, order, &plan) }
            },
            handle: { (command, scope) throws(Refusal) in
                let order = scope.aggregate(OrderDecider.self, id(command))?.state
                guard let order, order.tenantID == scope.tenantID else {
                    throw Refusal(Rejection(OrderRule.unknownOrder))
                }
                try handle(command, order, scope)
                return scope.result(OrderDecider.self, id(command)) { _ in Array("null".utf8) }
            })
    }

    private static func stocks(_ order: OrderState, _ orderID: String) -> [OrderStock] {
        order.lines.map { OrderStock(productID: $0.productID, orderID: orderID, quantity: $0.quantity) }
    }

    /// Refuses the command if another client has shipped the order or a part of it. The process then does not ship it.
    private static func requireUnshipped(_ orderID: String, _ scope: CommandScope) throws(Refusal) {
        if scope.fact(HasShipments.self, orderID) { throw Refusal(Rejection(OrderRule.orderShipped)) }
    }

    // MARK: handlers

    private static var reserve: CommandHandler {
        onOrder(ReserveOrder.self, \.orderID) { command, order, plan in
            for stock in stocks(order, command.orderID) { parts.read(ReserveStock(stock), &plan) }
        } handle: { (command, order, scope) throws(Refusal) in
            if order.status != .confirmed { throw Refusal(Rejection(ShipmentRule.orderNotConfirmed)) }
            try requireUnshipped(command.orderID, scope)
            for stock in stocks(order, command.orderID) { try parts.carryOut(ReserveStock(stock), scope) }
        }
    }

    private static var release: CommandHandler {
        onOrder(ReleaseOrder.self, \.orderID) { command, order, plan in
            for stock in stocks(order, command.orderID) { parts.read(ReleaseStock(stock), &plan) }
        } handle: { (command, order, scope) throws(Refusal) in
            for stock in stocks(order, command.orderID) {
                // Other clients may have released pieces.
                let reserved = scope.fact(OrderReservation.self, OrderReservation.key(stock))
                let rest = Int32(min(Int64(stock.quantity), reserved))
                if rest == 0 { continue }
                let left = OrderStock(productID: stock.productID, orderID: stock.orderID, quantity: rest)
                try parts.carryOut(ReleaseStock(left), scope)
            }
        }
    }

    private static var authorize: CommandHandler {
        onOrder(AuthorizeOrder.self, \.orderID) { command, _, plan in
            plan.aggregate(PaymentDecider.self, command.paymentID)
        } handle: { (command, order, scope) throws(Refusal) in
            let money = Money(order.total ?? .zero, order.currency)
            let payment = PaymentAuthorized(orderID: command.orderID, money: money, method: command.method)
            try parts.carryOut(AuthorizePayment(paymentID: command.paymentID, payment: payment), scope)
        }
    }

    private static var ship: CommandHandler {
        onOrder(ShipOrder.self, \.orderID) { command, order, plan in
            plan.aggregate(PaymentDecider.self, command.paymentID)
            for stock in stocks(order, command.orderID) { parts.read(ShipStock(stock), &plan) }
            parts.read(shipment(command), &plan)
        } handle: { (command, order, scope) throws(Refusal) in
            try requireUnshipped(command.orderID, scope)
            guard let payment = scope.aggregate(PaymentDecider.self, command.paymentID)?.state else {
                throw Refusal(Rejection(PaymentRule.unknownPayment))
            }
            if payment.status != .completed {
                try parts.carryOut(CapturePayment(paymentID: command.paymentID, money: payment.money), scope)
            }
            for stock in stocks(order, command.orderID) { try parts.carryOut(ShipStock(stock), scope) }
            try parts.carryOut(shipment(command), scope)
        }
    }

    private static func shipment(_ command: ShipOrder) -> CreateShipment {
        CreateShipment(
            shipmentID: command.shipmentID,
            parcel: ShipmentCreated(
                orderID: command.orderID, carrier: command.carrier, trackingNumber: command.shipmentID))
    }

    private static var giveBack: CommandHandler {
        CommandHandler(
            ReturnPayment.self, on: [PaymentDecider.self],
            reads: { command, plan in plan.aggregate(PaymentDecider.self, command.paymentID) },
            handle: { (command, scope) throws(Refusal) in
                let payment = scope.aggregate(PaymentDecider.self, command.paymentID)?.state
                guard let payment, payment.tenantID == scope.tenantID else {
                    throw Refusal(Rejection(PaymentRule.unknownPayment))
                }
                switch payment.status {
                case .failed: break
                case .authorized:
                    try parts.carryOut(FailPayment(paymentID: command.paymentID, reason: command.reason), scope)
                case .completed:
                    let rest = (try? payment.money.amount.subtracting(payment.refunded)) ?? .zero
                    if rest > .zero {
                        let refund = RefundPayment(
                            paymentID: command.paymentID, money: Money(rest, payment.money.currency),
                            reason: command.reason)
                        try parts.carryOut(refund, scope)
                    }
                }
                return scope.result(PaymentDecider.self, command.paymentID) { _ in Array("null".utf8) }
            })
    }
}

public import Commands
public import Events
public import Orders
internal import ProductCommands

/// Creates an order with a new id.
public struct CreateOrder: Command, Hashable {
    public static let name = "CreateOrder"
    public let orderID: String
    public let order: OrderCreated

    public init(orderID: String, order: OrderCreated) {
        self.orderID = orderID
        self.order = order
    }
}

/// Sets the line of a product.
public struct AddItem: Command, Hashable {
    public static let name = "AddItem"
    public let orderID: String
    public let line: OrderLine
    /// The price's currency, if the client gives it.
    public let currency: Currency?

    public init(orderID: String, line: OrderLine, currency: Currency? = nil) {
        self.orderID = orderID
        self.line = line
        self.currency = currency
    }
}

public struct RemoveItem: Command, Hashable {
    public static let name = "RemoveItem"
    public let orderID: String
    public let productID: String

    public init(orderID: String, productID: String) {
        self.orderID = orderID
        self.productID = productID
    }
}

public struct ConfirmOrder: Command, Hashable {
    public static let name = "ConfirmOrder"
    public let orderID: String

    public init(orderID: String) {
        self.orderID = orderID
    }
}

public struct CancelOrder: Command, Hashable {
    public static let name = "CancelOrder"
    public let orderID: String
    public let reason: String
    public let cancelledBy: String

    public init(orderID: String, reason: String, cancelledBy: String) {
        self.orderID = orderID
        self.reason = reason
        self.cancelledBy = cancelledBy
    }
}

/// The commands of orders, for a command bus.
public enum OrderCommands {
    /// The migration sets that the commands need. Their events are written to the table of `outbox`.
    public static let migrationSets = ["outbox", "orders", "commands"]

    public static let all: [any Command.Type] = [
        CreateOrder.self, AddItem.self, RemoveItem.self, ConfirmOrder.self, CancelOrder.self,
    ]

    static let resource = AggregateResource<OrderDecider>(
        "/v1/orders", idPrefix: "ord", hasReadModel: true, document: OrderDocument.json)

    public static func handlers(_ policy: OrderPolicy) -> [CommandHandler] {
        [
            create(policy),
            addItem(policy),
            change(RemoveItem.self, policy, { $0.orderID }, { .removeItem(productID: $0.productID) }),
            confirm(policy),
            cancel(policy),
        ]
    }

    private static func create(_ policy: OrderPolicy) -> CommandHandler {
        resource.handler(
            CreateOrder.self, { $0.orderID }, { .create($0.order) },
            reads: { command, plan in
                plan.fact(KnownCustomer.self, command.order.customerID)
                if policy.requiresKnownProducts {
                    for line in command.order.items { plan.fact(KnownProduct.self, line.productID) }
                }
            },
            facts: { command, scope in
                var facts = OrderDecisionFacts(tenantID: scope.tenantID, policy: policy)
                let owner = scope.fact(KnownCustomer.self, command.order.customerID)
                facts.isCustomerKnown = owner?.allows(scope.tenantID) ?? false
                facts.products = products(command.order.items, policy, scope)
                return facts
            })
    }

    private static func addItem(_ policy: OrderPolicy) -> CommandHandler {
        resource.handler(
            AddItem.self, { $0.orderID }, { .addItem($0.line, currency: $0.currency) },
            reads: { command, plan in
                if policy.requiresKnownProducts { plan.fact(KnownProduct.self, command.line.productID) }
            },
            facts: { command, scope in
                var facts = OrderDecisionFacts(tenantID: scope.tenantID, policy: policy)
                facts.products = products([command.line], policy, scope)
                return facts
            })
    }

    /// The products of some lines in the catalogue. It reads nothing if the policy does not check products.
    private static func products(
        _ lines: [OrderLine], _ policy: OrderPolicy, _ scope: CommandScope
    ) -> [String: ProductStanding] {
        var standings: [String: ProductStanding] = [:]
        guard policy.requiresKnownProducts else { return standings }
        for line in lines {
            guard let entry = scope.fact(KnownProduct.self, line.productID), entry.isVisible(to: scope.tenantID) else {
                continue
            }
            standings[line.productID] = entry.isRetired ? .retired : .listed
        }
        return standings
    }

    /// The handler of a command that needs only the order's state.
    private static func change<C: Command>(
        _: C.Type, _ policy: OrderPolicy, _ id: @escaping @Sendable (C) -> String,
        _ told: @escaping @Sendable (C) -> OrderCommand
    ) -> CommandHandler {
        resource.handler(C.self, id, told) { _, scope in
            OrderDecisionFacts(tenantID: scope.tenantID, policy: policy)
        }
    }

    private static func cancel(_ policy: OrderPolicy) -> CommandHandler {
        resource.handler(
            CancelOrder.self, { $0.orderID }, { .cancel(reason: $0.reason, by: $0.cancelledBy) },
            reads: { command, plan in plan.fact(HasShipments.self, command.orderID) },
            facts: { command, scope in
                OrderDecisionFacts(
                    tenantID: scope.tenantID, isShipped: scope.fact(HasShipments.self, command.orderID),
                    policy: policy)
            })
    }

    private static func confirm(_ policy: OrderPolicy) -> CommandHandler {
        CommandHandler(
            ConfirmOrder.self, on: [OrderDecider.self],
            reads: { command, plan in plan.aggregate(OrderDecider.self, command.orderID) },
            furtherReads: { command, scope, plan in
                if let key = creditKey(command.orderID, scope) { plan.fact(CreditStanding.self, key) }
            },
            handle: { (command, scope) throws(Refusal) in
                var facts = OrderDecisionFacts(tenantID: scope.tenantID, policy: policy)
                let key = creditKey(command.orderID, scope)
                if let key {
                    let credit = scope.fact(CreditStanding.self, key)
                    facts.creditLimit = credit.limit
                    facts.outstanding = credit.outstanding
                }
                try scope.decide(OrderDecider.self, command.orderID, .confirm, facts)
                let total = scope.aggregate(OrderDecider.self, command.orderID)?.state.total
                if let key, let total {
                    scope.changeFact(CreditStanding.self, key) { credit in
                        credit.outstanding = (try? credit.outstanding.adding(total)) ?? credit.outstanding
                    }
                }
                return resource.result(command.orderID, scope)
            })
    }

    private static func creditKey(_ orderID: String, _ scope: CommandScope) -> String? {
        scope.aggregate(OrderDecider.self, orderID).map { order in
            CreditStanding.key(customer: order.state.customerID, order.state.currency)
        }
    }
}

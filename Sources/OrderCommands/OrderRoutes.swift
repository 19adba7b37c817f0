public import Commands
public import Orders
internal import ProductCommands

extension OrderCommands {
    /// The domain of orders for a service.
    public static func domain(_ policy: OrderPolicy) -> CommandDomain {
        CommandDomain(
            "orders", migrationSets: migrationSets + (policy.requiresKnownProducts ? ["products"] : []), commands: all,
            handlers: handlers(policy), repositories: [OrderTables()],
            cachedFacts: policy.requiresKnownProducts ? [KnownCustomer.self, KnownProduct.self] : [KnownCustomer.self],
            openAPI: OpenAPIPart(
                paths: PackageResources.openapi_paths_json, schemas: PackageResources.openapi_schemas_json),
            routes: routes)
    }

    private static func routes(_ bus: CommandBus, _ source: String) -> [CommandRoute] {
        let orders = AggregateRoutes(resource, bus, source: source)
        return [
            orders.create { id, call throws(CommandProblem) in
                CreateOrder(orderID: id, order: try CommandForm.read(call) { try OrderForms.order(&$0) })
            },
            orders.read(),
            orders.change("/items") { id, call throws(CommandProblem) in
                let (line, currency) = try CommandForm.read(call) { try OrderForms.line(&$0) }
                return AddItem(orderID: id, line: line, currency: currency)
            },
            orders.change("/items/{product}", by: "DELETE") { id, call throws(CommandProblem) in
                RemoveItem(orderID: id, productID: try call.identity("product"))
            },
            orders.change("/confirm") { id, call throws(CommandProblem) in
                try CommandForm.requireEmpty(call)
                return ConfirmOrder(orderID: id)
            },
            orders.change("/cancel") { id, call throws(CommandProblem) in
                let (reason, by) = try CommandForm.read(call) { try OrderForms.cancellation(&$0) }
                return CancelOrder(orderID: id, reason: reason, cancelledBy: by)
            },
        ]
    }
}

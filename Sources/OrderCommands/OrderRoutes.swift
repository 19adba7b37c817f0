public import Commands
internal import Events
internal import Orders
internal import StreamCore

/// The routes of orders: what a request says becomes a command, and what the bus says an answer.
public struct OrderRoutes: Sendable {
    private let bus: CommandBus
    private let source: String

    /// - Parameter source: the service's name, which the events carry.
    public init(_ bus: CommandBus, source: String) {
        self.bus = bus
        self.source = source
    }

    /// What the routes take and answer.
    public static let openAPI = OpenAPIPart(
        paths: PackageResources.openapi_paths_json, schemas: PackageResources.openapi_schemas_json)

    public var all: [CommandRoute] {
        [
            CommandRoute("POST", "/v1/orders") { call throws(CommandProblem) in
                let order = try CommandForm.read(call) { try OrderForms.order(&$0) }
                var random = SystemRandomNumberGenerator()
                let id = "ord-\(EventID(version7At: .now, using: &random))"
                return try await send(CreateOrder(orderID: id, order: order), call, isNew: true)
            },
            CommandRoute("GET", "/v1/orders/{id}") { call throws(CommandProblem) in try await order(call) },
            CommandRoute("POST", "/v1/orders/{id}/items") { call throws(CommandProblem) in
                let id = try call.identity("id")
                let (line, currency) = try CommandForm.read(call) { try OrderForms.line(&$0) }
                return try await send(AddItem(orderID: id, line: line, currency: currency), call)
            },
            CommandRoute("DELETE", "/v1/orders/{id}/items/{product}") { call throws(CommandProblem) in
                let (id, product) = (try call.identity("id"), try call.identity("product"))
                return try await send(RemoveItem(orderID: id, productID: product), call)
            },
            CommandRoute("POST", "/v1/orders/{id}/confirm") { call throws(CommandProblem) in
                let id = try call.identity("id")
                try CommandForm.requireEmpty(call)
                return try await send(ConfirmOrder(orderID: id), call)
            },
            CommandRoute("POST", "/v1/orders/{id}/cancel") { call throws(CommandProblem) in
                let id = try call.identity("id")
                let (reason, by) = try CommandForm.read(call) { try OrderForms.cancellation(&$0) }
                return try await send(CancelOrder(orderID: id, reason: reason, cancelledBy: by), call)
            },
        ]
    }

    private func send(
        _ command: some Command, _ call: CommandCall, isNew: Bool = false
    ) async throws(CommandProblem) -> CommandReplyMessage {
        try await bus.answer(command, call, source: source, collection: "/v1/orders/", hasReadModel: true, isNew: isNew)
    }

    /// The write model's own answer: with all that was answered before.
    private func order(_ call: CommandCall) async throws(CommandProblem) -> CommandReplyMessage {
        let id = try call.identity("id")
        let loaded: Loaded<OrderState>?
        do throws(CommandFailure) {
            loaded = try await bus.aggregate(OrderDecider.self, id)
        } catch { throw CommandProblem(error) }
        guard let loaded, loaded.state.tenantID == call.tenantID else {
            throw CommandProblem(Refusal(Rejection(OrderRule.unknownOrder)))
        }
        let result = CommandResult(
            aggregateType: OrderDecider.kind.rawValue, aggregateID: id, version: loaded.version,
            body: OrderDocument.json(id, loaded))
        return CommandReplyMessage(result, collection: "/v1/orders/", hasReadModel: true)
    }
}

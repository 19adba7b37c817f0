public import Events

/// Makes the routes of one kind of aggregate: what a request says becomes a command, and what the bus says an answer.
public struct AggregateRoutes<D: TenantDecider>: Sendable {
    private let resource: AggregateResource<D>
    private let bus: CommandBus
    private let source: String

    /// - Parameter source: the service's name, which the events carry.
    public init(_ resource: AggregateResource<D>, _ bus: CommandBus, source: String) {
        self.resource = resource
        self.bus = bus
        self.source = source
    }

    /// `POST` to the collection: makes an aggregate, 201 with its location.
    ///
    /// - Parameter read: makes the command of the new aggregate's id and the request.
    public func create<C: Command>(
        _ read: @escaping @Sendable (String, CommandCall) throws(CommandProblem) -> C
    ) -> CommandRoute {
        CommandRoute("POST", resource.path) { call throws(CommandProblem) in
            try await send(try read(NewIdentity.make(resource.idPrefix), call), call, isNew: true)
        }
    }

    /// A request that changes an aggregate.
    ///
    /// - Parameters:
    ///   - path: what stands behind the aggregate's own path: `/deposits`.
    ///   - read: makes the command of the aggregate's id and the request.
    public func change<C: Command>(
        _ path: String, by method: String = "POST",
        _ read: @escaping @Sendable (String, CommandCall) throws(CommandProblem) -> C
    ) -> CommandRoute {
        CommandRoute(method, resource.path + "/{id}" + path) { call throws(CommandProblem) in
            try await send(try read(try call.identity("id"), call), call)
        }
    }

    /// The aggregate as the write model has it: with all that was answered before.
    public func read() -> CommandRoute {
        read(query: []) { id, _ throws(CommandProblem) in
            do throws(CommandFailure) {
                return try await bus.aggregate(D.self, id)
            } catch { throw CommandProblem(error) }
        }
    }

    /// The aggregate by a way of its own, such as its state at an instant.
    ///
    /// - Parameters:
    ///   - query: the names of the query's parameters.
    ///   - load: nil where there is none.
    public func read(
        query: Set<String>,
        _ load: @escaping @Sendable (String, CommandCall) async throws(CommandProblem) -> Loaded<D.State>?
    ) -> CommandRoute {
        CommandRoute("GET", resource.path + "/{id}", query: query) { call throws(CommandProblem) in
            let id = try call.identity("id")
            guard let loaded = try await load(id, call), loaded.state.tenantID == call.tenantID else {
                throw CommandProblem(Refusal(Rejection(D.unknown)))
            }
            return CommandReplyMessage(
                resource.result(id, loaded), collection: resource.path + "/", hasReadModel: resource.hasReadModel)
        }
    }

    private func send(
        _ command: some Command, _ call: CommandCall, isNew: Bool = false
    ) async throws(CommandProblem) -> CommandReplyMessage {
        try await bus.answer(
            command, call, source: source, collection: resource.path + "/", hasReadModel: resource.hasReadModel,
            isNew: isNew)
    }
}

public import Events

/// Creates the routes of one kind of aggregate. A route turns a request into a command, and the result of the bus into
/// an answer.
public struct AggregateRoutes<D: TenantDecider>: Sendable {
    private let resource: AggregateResource<D>
    private let bus: CommandBus
    private let source: String

    /// - Parameter source: the service's name, which the events contain.
    public init(_ resource: AggregateResource<D>, _ bus: CommandBus, source: String) {
        self.resource = resource
        self.bus = bus
        self.source = source
    }

    /// `POST` to the collection creates an aggregate. The answer is 201 with its location.
    ///
    /// - Parameter read: makes the command from the new aggregate's id and the request.
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
    ///   - path: the path after the aggregate's own path, for example `/deposits`.
    ///   - read: makes the command from the aggregate's id and the request.
    public func change<C: Command>(
        _ path: String, by method: String = "POST",
        _ read: @escaping @Sendable (String, CommandCall) throws(CommandProblem) -> C
    ) -> CommandRoute {
        CommandRoute(method, resource.path + "/{id}" + path) { call throws(CommandProblem) in
            try await send(try read(try call.identity("id"), call), call)
        }
    }

    /// `GET` of an aggregate reads the write model, which includes the changes of all commands that were answered
    /// before.
    public func read() -> CommandRoute {
        read(query: []) { id, _ throws(CommandProblem) in
            do throws(CommandFailure) {
                return try await bus.aggregate(D.self, id)
            } catch { throw CommandProblem(error) }
        }
    }

    /// `GET` of an aggregate with a custom read, for example of its state at a point in time.
    ///
    /// - Parameters:
    ///   - query: the names of the accepted query parameters.
    ///   - load: reads the aggregate; nil if it does not exist.
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

public import Events
internal import StreamCore

/// The aggregates of one kind over HTTP: their path and their representation. It creates the common parts of the
/// handlers and routes of a domain.
public struct AggregateResource<D: TenantDecider>: Sendable {
    /// The path of the collection, without a slash at its end.
    let path: String
    /// The prefix of new ids.
    let idPrefix: String
    /// Whether query-service serves them under the same path.
    let hasReadModel: Bool
    private let document: @Sendable (String, Loaded<D.State>) -> [UInt8]

    /// - Parameters:
    ///   - path: the path of the collection, for example `/v1/accounts`.
    ///   - idPrefix: the prefix of new ids; unused if clients choose the ids.
    ///   - hasReadModel: whether query-service serves them under the same path.
    ///   - document: writes an aggregate as a JSON object.
    public init(
        _ path: String, idPrefix: String = "", hasReadModel: Bool = false,
        document: @escaping @Sendable (String, Loaded<D.State>) -> [UInt8]
    ) {
        self.path = path
        self.idPrefix = idPrefix
        self.hasReadModel = hasReadModel
        self.document = document
    }

    /// Creates the handler of a command that one aggregate decides.
    ///
    /// - Parameters:
    ///   - id: the id of the aggregate.
    ///   - told: the command for the decider.
    ///   - others: the kinds of further aggregates that the command reads.
    ///   - reads: adds what the rules need besides the aggregate; by default nothing.
    ///   - facts: the external facts for the rules.
    ///   - then: applies the command's effect to facts, for the commands that follow in the same transaction.
    public func handler<C: Command>(
        _: C.Type, _ id: @escaping @Sendable (C) -> String, _ told: @escaping @Sendable (C) -> D.Command,
        with others: [any Decider.Type] = [], reads: @escaping @Sendable (C, inout ReadPlan) -> Void = { _, _ in },
        facts: @escaping @Sendable (C, CommandScope) -> D.Facts,
        then: @escaping @Sendable (C, CommandScope) -> Void = { _, _ in }
    ) -> CommandHandler {
        CommandHandler(C.self, on: [D.self] + others) { command, plan in
            plan.aggregate(D.self, id(command))
            reads(command, &plan)
        } handle: { (command, scope) throws(Refusal) in
            try scope.decide(D.self, id(command), told(command), facts(command, scope))
            then(command, scope)
            return result(id(command), scope)
        }
    }

    /// The answer with the aggregate's state after a command.
    public func result(_ id: String, _ scope: CommandScope) -> CommandResult {
        scope.result(D.self, id) { document(id, $0) }
    }

    func result(_ id: String, _ loaded: Loaded<D.State>) -> CommandResult {
        CommandResult(
            aggregateType: D.kind.rawValue, aggregateID: id, version: loaded.version, body: document(id, loaded))
    }
}

/// Creates the ids of new aggregates.
public enum NewIdentity {
    /// - Parameter prefix: shows a reader the kind of the aggregate.
    /// - Returns: the prefix, a hyphen and a UUID of version 7, which is ordered by time.
    public static func make(_ prefix: String) -> String {
        var random = SystemRandomNumberGenerator()
        return "\(prefix)-\(EventID(version7At: .now, using: &random))"
    }
}

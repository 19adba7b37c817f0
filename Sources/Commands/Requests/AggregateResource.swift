public import Events
internal import StreamCore

/// The aggregates of one kind over HTTP: where they are and how clients see them. What handlers and routes of a domain
/// have in common is made of it.
public struct AggregateResource<D: TenantDecider>: Sendable {
    /// The path below which they are, without a slash at its end.
    let path: String
    /// What the ids of new ones begin with.
    let idPrefix: String
    /// Whether query-service has them under the same path.
    let hasReadModel: Bool
    private let document: @Sendable (String, Loaded<D.State>) -> [UInt8]

    /// - Parameters:
    ///   - path: `/v1/accounts`, for example.
    ///   - idPrefix: what the ids of new ones begin with; where clients choose the ids, it is not used.
    ///   - hasReadModel: whether query-service has them under the same path.
    ///   - document: writes one as a JSON object.
    public init(
        _ path: String, idPrefix: String = "", hasReadModel: Bool = false,
        document: @escaping @Sendable (String, Loaded<D.State>) -> [UInt8]
    ) {
        self.path = path
        self.idPrefix = idPrefix
        self.hasReadModel = hasReadModel
        self.document = document
    }

    /// The handler of a command that one aggregate decides.
    ///
    /// - Parameters:
    ///   - id: which aggregate it is about.
    ///   - told: what that is told.
    ///   - others: the kinds of further aggregates that it reads.
    ///   - reads: what the rules ask for beside the aggregate; nothing if nothing is said.
    ///   - facts: what the rules are told of the world.
    ///   - then: changes facts as the command does, for those that follow in the same transaction.
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

    /// The answer about an aggregate as a command leaves it.
    public func result(_ id: String, _ scope: CommandScope) -> CommandResult {
        scope.result(D.self, id) { document(id, $0) }
    }

    func result(_ id: String, _ loaded: Loaded<D.State>) -> CommandResult {
        CommandResult(
            aggregateType: D.kind.rawValue, aggregateID: id, version: loaded.version, body: document(id, loaded))
    }
}

/// What makes ids for what clients create.
public enum NewIdentity {
    /// - Parameter prefix: tells a reader what kind of thing has the id.
    /// - Returns: the prefix, a hyphen and a UUID whose order is that of time.
    public static func make(_ prefix: String) -> String {
        var random = SystemRandomNumberGenerator()
        return "\(prefix)-\(EventID(version7At: .now, using: &random))"
    }
}

public import Events

/// What carries commands of one type out: which aggregates and facts they need, and what is decided.
public struct CommandHandler: Sendable {
    let type: any Command.Type
    /// The kinds of aggregates that it reads.
    let aggregates: [any Decider.Type]
    let plan: @Sendable (any Command, inout ReadPlan) -> Void
    let furtherPlan: (@Sendable (any Command, CommandScope, inout ReadPlan) -> Void)?
    let handle: @Sendable (any Command, CommandScope) throws(Refusal) -> CommandResult

    var name: String { type.name }

    /// - Parameters:
    ///   - aggregates: the kinds of aggregates that the command reads: each needs a repository.
    ///   - reads: says what is read, before anything is known but the command.
    ///   - furtherReads: says what is read beside it, where that depends on what was read; costs a round trip.
    ///   - handle: decides. Pure, but for the events and the changes of facts that it gives to its scope. When it
    ///     throws, those are undone.
    public init<C: Command>(
        _: C.Type, on aggregates: [any Decider.Type],
        reads: @escaping @Sendable (C, inout ReadPlan) -> Void,
        furtherReads: (@Sendable (C, CommandScope, inout ReadPlan) -> Void)? = nil,
        handle: @escaping @Sendable (C, CommandScope) throws(Refusal) -> CommandResult
    ) {
        type = C.self
        self.aggregates = aggregates
        plan = { command, plan in reads(Self.cast(command), &plan) }
        if let furtherReads {
            furtherPlan = { command, scope, plan in furtherReads(Self.cast(command), scope, &plan) }
        } else {
            furtherPlan = nil
        }
        self.handle = { command, scope throws(Refusal) in try handle(Self.cast(command), scope) }
    }

    /// The bus hands a command to the handler of its type alone.
    private static func cast<C: Command>(_ command: any Command) -> C {
        guard let command = command as? C else { preconditionFailure("\(command) is no \(C.self)") }
        return command
    }
}

public import Events

/// Handles commands of one type. It names the aggregates and facts that a command needs, and decides.
public struct CommandHandler: Sendable {
    let type: any Command.Type
    /// The kinds of aggregates that the command reads.
    let aggregates: [any Decider.Type]
    let plan: @Sendable (any Command, inout ReadPlan) -> Void
    let furtherPlan: (@Sendable (any Command, CommandScope, inout ReadPlan) -> Void)?
    let handle: @Sendable (any Command, CommandScope) throws(Refusal) -> CommandResult

    var name: String { type.name }

    /// - Parameters:
    ///   - aggregates: the kinds of aggregates that the command reads. Each needs a repository.
    ///   - reads: names the aggregates and facts to read. It knows only the command.
    ///   - furtherReads: names further aggregates and facts, depending on what was read. It costs a round trip.
    ///   - handle: decides. It has no effects except the events and the changes of facts that it passes to its scope.
    ///     If it throws, the bus discards them.
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

    /// The bus passes a command only to the handler of its type.
    private static func cast<C: Command>(_ command: any Command) -> C {
        guard let command = command as? C else { preconditionFailure("\(command) is not of type \(C.self)") }
        return command
    }
}

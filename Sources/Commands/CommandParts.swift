public import Events

/// Commands that are the parts of another command. The handler of that command carries them out in one decision, so
/// that all of them take effect or none.
public struct CommandParts: Sendable {
    private let handlers: [ObjectIdentifier: CommandHandler]

    /// - Parameter handlers: the handlers of the parts. They must have no further reads.
    public init(_ handlers: [CommandHandler]) {
        for handler in handlers { precondition(handler.furtherPlan == nil, "\(handler.name) reads twice") }
        self.handlers = Dictionary(uniqueKeysWithValues: handlers.map { (ObjectIdentifier($0.type), $0) })
    }

    /// The kinds of aggregates that the parts read, for the handler of the whole command.
    public var aggregates: [any Decider.Type] { handlers.values.flatMap(\.aggregates) }

    /// Adds the reads of a part to the plan. The handler of the whole command calls it in its own `reads`.
    public func read(_ part: some Command, _ plan: inout ReadPlan) {
        handler(of: part).plan(part, &plan)
    }

    /// Carries a part out, like a command of its own.
    ///
    /// - Throws: the refusal. If the handler of the whole command rethrows it, all parts are undone.
    @discardableResult
    public func carryOut(_ part: some Command, _ scope: CommandScope) throws(Refusal) -> CommandResult {
        try handler(of: part).handle(part, scope)
    }

    private func handler(of part: some Command) -> CommandHandler {
        guard let handler = handlers[ObjectIdentifier(type(of: part))] else {
            preconditionFailure("\(type(of: part).name) is not a part of the command")
        }
        return handler
    }
}

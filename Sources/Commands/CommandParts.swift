public import Events

/// Commands that are the parts of another one: its handler carries them out in one decision, so that all of them happen
/// or none.
public struct CommandParts: Sendable {
    private let handlers: [ObjectIdentifier: CommandHandler]

    /// - Parameter handlers: those of the parts. What they read must not depend on what was read before.
    public init(_ handlers: [CommandHandler]) {
        for handler in handlers { precondition(handler.furtherPlan == nil, "\(handler.name) reads twice") }
        self.handlers = Dictionary(uniqueKeysWithValues: handlers.map { (ObjectIdentifier($0.type), $0) })
    }

    /// The kinds of aggregates that the parts read, for the handler of the whole.
    public var aggregates: [any Decider.Type] { handlers.values.flatMap(\.aggregates) }

    /// Says what a part needs. Called where the handler of the whole says what it reads.
    public func read(_ part: some Command, _ plan: inout ReadPlan) {
        handler(of: part).plan(part, &plan)
    }

    /// Carries a part out, as a command of its own would be.
    ///
    /// - Throws: the refusal. Thrown on by the handler of the whole, it undoes all parts.
    @discardableResult
    public func carryOut(_ part: some Command, _ scope: CommandScope) throws(Refusal) -> CommandResult {
        try handler(of: part).handle(part, scope)
    }

    private func handler(of part: some Command) -> CommandHandler {
        guard let handler = handlers[ObjectIdentifier(type(of: part))] else {
            preconditionFailure("\(type(of: part).name) is no part of the command")
        }
        return handler
    }
}

internal import Events

/// The handlers, repositories and commands of a bus are inconsistent.
public struct CommandBusError: Error, Hashable, Sendable, CustomStringConvertible {
    /// All problems, one sentence each.
    public let problems: [String]

    public var description: String { problems.joined(separator: "; ") }
}

/// Checks that each command has exactly one handler, and that each aggregate of a handler has a repository.
struct CommandBusCheck {
    private let commands: [any Command.Type]
    private let handlers: [CommandHandler]
    private let repositories: [any Repository]
    private let configuration: CommandBusConfiguration

    init(
        _ commands: [any Command.Type], _ handlers: [CommandHandler], _ repositories: [any Repository],
        _ configuration: CommandBusConfiguration
    ) {
        self.commands = commands
        self.handlers = handlers
        self.repositories = repositories
        self.configuration = configuration
    }

    func tables() throws(CommandBusError) -> (
        handlers: [ObjectIdentifier: CommandHandler], repositories: [ObjectIdentifier: any Repository]
    ) {
        var problems = configuration.validate()
        var kept: [ObjectIdentifier: any Repository] = [:]
        for repository in repositories {
            let kind = Self.decider(of: repository)
            if kept.updateValue(repository, forKey: ObjectIdentifier(kind)) != nil {
                problems.append("\(kind) has two repositories")
            }
        }
        var handling: [ObjectIdentifier: CommandHandler] = [:]
        var names: Set<String> = []
        for handler in handlers {
            if handling.updateValue(handler, forKey: ObjectIdentifier(handler.type)) != nil {
                problems.append("\(handler.name) has two handlers")
            } else if !names.insert(handler.name).inserted {
                problems.append("two commands have the name \(handler.name)")
            }
            for kind in handler.aggregates where kept[ObjectIdentifier(kind)] == nil {
                problems.append("\(handler.name) reads \(kind), which has no repository")
            }
        }
        for command in commands where handling[ObjectIdentifier(command)] == nil {
            problems.append("\(command.name) has no handler")
        }
        if !problems.isEmpty { throw CommandBusError(problems: problems) }
        return (handling, kept)
    }

    private static func decider<R: Repository>(of _: R) -> any Decider.Type { R.D.self }
}

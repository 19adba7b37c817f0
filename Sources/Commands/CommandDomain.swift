public import Logging
public import Postgres

/// A domain as a service takes its commands: how they are carried out, and by which requests they come.
public struct CommandDomain: Sendable {
    /// What an operator calls it.
    public let name: String
    /// The migrations that its commands need.
    public let migrationSets: [String]
    /// All commands that its routes send.
    public let commands: [any Command.Type]
    public let handlers: [CommandHandler]
    public let repositories: [any Repository]
    /// What its rules ask for and a process may keep in memory.
    public let cachedFacts: [any CachedFact.Type]
    /// The description of its routes.
    public let openAPI: OpenAPIPart
    /// Its routes over a bus. The text is the service's name, which the events carry.
    public let routes: @Sendable (CommandBus, String) -> [CommandRoute]

    public init(
        _ name: String, migrationSets: [String], commands: [any Command.Type], handlers: [CommandHandler],
        repositories: [any Repository], cachedFacts: [any CachedFact.Type] = [], openAPI: OpenAPIPart,
        routes: @escaping @Sendable (CommandBus, String) -> [CommandRoute]
    ) {
        self.name = name
        self.migrationSets = migrationSets
        self.commands = commands
        self.handlers = handlers
        self.repositories = repositories
        self.cachedFacts = cachedFacts
        self.openAPI = openAPI
        self.routes = routes
    }
}

extension CommandBus {
    /// A bus for some domains. A repository that several of them name is there once.
    ///
    /// - Throws: ``CommandBusError`` that names all that does not fit together.
    public convenience init(
        _ configuration: CommandBusConfiguration, postgres: PostgresConfiguration, domains: [CommandDomain],
        readModels: (any InlineReadModels)? = nil, logger: Logger
    ) throws(CommandBusError) {
        var seen: Set<ObjectIdentifier> = []
        let repositories = domains.flatMap(\.repositories).filter { repository in
            seen.insert(ObjectIdentifier(type(of: repository))).inserted
        }
        try self.init(
            configuration, postgres: postgres, commands: domains.flatMap(\.commands),
            handlers: domains.flatMap(\.handlers), repositories: repositories,
            readModels: readModels, cachedFacts: domains.flatMap(\.cachedFacts), logger: logger)
    }
}

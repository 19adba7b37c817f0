public import Logging
public import Postgres

/// A domain for a service that accepts its commands: how commands are carried out, and which requests send them.
public struct CommandDomain: Sendable {
    /// The name in settings.
    public let name: String
    /// The migration sets that its commands need.
    public let migrationSets: [String]
    /// All commands that its routes send.
    public let commands: [any Command.Type]
    public let handlers: [CommandHandler]
    public let repositories: [any Repository]
    /// The facts of its rules that may be cached in memory.
    public let cachedFacts: [any CachedFact.Type]
    /// The OpenAPI description of its routes.
    public let openAPI: OpenAPIPart
    /// Makes its routes for a bus. The text is the service's name, which the events contain.
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
    /// Creates a bus for some domains. A repository that several of them name is used once.
    ///
    /// - Throws: ``CommandBusError`` with all problems of the domains.
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

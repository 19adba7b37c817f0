internal import AccountCommands
internal import Commands
internal import Events
internal import OrderCommands
internal import Orders

/// A domain that command-service can serve.
struct CommandDomain: Sendable {
    let migrationSets: [String]
    let commands: [any Command.Type]
    let handlers: [CommandHandler]
    let repository: any Repository
    let openAPI: OpenAPIPart
    /// Its routes over a bus; the text is the service's name, which the events carry.
    let routes: @Sendable (CommandBus, String) -> [CommandRoute]

    static func orders(_ policy: OrderPolicy) -> CommandDomain {
        CommandDomain(
            migrationSets: OrderCommands.migrationSets, commands: OrderCommands.all,
            handlers: OrderCommands.handlers(policy), repository: OrderTables(), openAPI: OrderRoutes.openAPI
        ) { OrderRoutes($0, source: $1).all }
    }

    static func accounts(_ currencies: CurrencyTable) -> CommandDomain {
        CommandDomain(
            migrationSets: AccountCommands.migrationSets, commands: AccountCommands.all,
            handlers: AccountCommands.handlers(currencies), repository: AccountCommands.streams,
            openAPI: AccountRoutes.openAPI
        ) { AccountRoutes($0, source: $1).all }
    }
}

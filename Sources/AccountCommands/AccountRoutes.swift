public import Accounts
public import Commands
public import Events
public import StreamCore

extension AccountCommands {
    /// The domain of accounts for a service.
    ///
    /// - Parameter currencies: the accepted currencies of accounts.
    public static func domain(_ currencies: CurrencyTable) -> CommandDomain {
        CommandDomain(
            "accounts", migrationSets: migrationSets, commands: all, handlers: handlers(currencies),
            repositories: [streams],
            openAPI: OpenAPIPart(
                paths: PackageResources.openapi_paths_json, schemas: PackageResources.openapi_schemas_json),
            routes: routes)
    }

    private static func routes(_ bus: CommandBus, _ source: String) -> [CommandRoute] {
        let accounts = AggregateRoutes(resource, bus, source: source)
        return [
            accounts.create { id, call throws(CommandProblem) in
                OpenAccount(accountID: id, account: try CommandForm.read(call) { try AccountForms.account(&$0) })
            },
            accounts.read(query: ["at"]) { id, call throws(CommandProblem) in try await account(id, call, bus) },
            accounts.change("/deposits") { id, call throws(CommandProblem) in
                DepositMoney(accountID: id, money: try movement(call).money)
            },
            accounts.change("/withdrawals") { id, call throws(CommandProblem) in
                WithdrawMoney(accountID: id, money: try movement(call).money)
            },
            accounts.change("/transfers") { id, call throws(CommandProblem) in
                let (money, to) = try movement(call, hasCounterparty: true)
                return TransferMoney(accountID: id, counterparty: to, money: money, transferID: NewIdentity.make("trf"))
            },
            accounts.change("/freeze") { id, call throws(CommandProblem) in
                FreezeAccount(accountID: id, reason: try CommandForm.text(call, "reason"))
            },
        ]
    }

    private static func movement(
        _ call: CommandCall, hasCounterparty: Bool = false
    ) throws(CommandProblem) -> (money: Money, counterparty: String) {
        try CommandForm.read(call) { try AccountForms.movement(&$0, hasCounterparty: hasCounterparty) }
    }

    /// The current account, or with `?at=` its state at that time.
    private static func account(
        _ id: String, _ call: CommandCall, _ bus: CommandBus
    ) async throws(CommandProblem) -> Loaded<AccountState>? {
        let instant = try call.query["at"].map { text throws(CommandProblem) in try Self.instant(text) }
        do throws(CommandFailure) {
            if let instant { return try await bus.account(id, at: instant) }
            return try await bus.aggregate(AccountDecider.self, id)
        } catch { throw CommandProblem(error) }
    }

    private static func instant(_ text: String) throws(CommandProblem) -> Timestamp {
        do {
            return try Timestamp(parsing: text.utf8Span.span)
        } catch {
            throw .invalidRequest("invalid-parameter", "\(error)", in: "at")
        }
    }
}

extension CommandBus {
    /// The state of an account by its events up to a time; nil if it was not open then.
    public func account(
        _ id: String, at instant: Timestamp
    ) async throws(CommandFailure) -> Loaded<AccountState>? {
        let results = try await query([AccountCommands.streams.history(of: id, until: instant)])
        do { return try AccountCommands.streams.loaded(results[...])[id] } catch { throw .failed }
    }
}

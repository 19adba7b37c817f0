public import Accounts
public import Commands
internal import Events
public import StreamCore

/// The routes of accounts: what a request says becomes a command, and what the bus says an answer.
public struct AccountRoutes: Sendable {
    private let bus: CommandBus
    private let source: String

    /// - Parameter source: the service's name, which the events carry.
    public init(_ bus: CommandBus, source: String) {
        self.bus = bus
        self.source = source
    }

    /// What the routes take and answer.
    public static let openAPI = OpenAPIPart(
        paths: PackageResources.openapi_paths_json, schemas: PackageResources.openapi_schemas_json)

    public var all: [CommandRoute] {
        [
            CommandRoute("POST", "/v1/accounts") { call throws(CommandProblem) in
                let account = try CommandForm.read(call) { try AccountForms.account(&$0) }
                return try await send(OpenAccount(accountID: Self.newID("acc"), account: account), call, isNew: true)
            },
            CommandRoute("GET", "/v1/accounts/{id}", query: ["at"]) { call throws(CommandProblem) in
                try await account(call)
            },
            CommandRoute("POST", "/v1/accounts/{id}/deposits") { call throws(CommandProblem) in
                let (id, money) = try movement(call)
                return try await send(DepositMoney(accountID: id, money: money), call)
            },
            CommandRoute("POST", "/v1/accounts/{id}/withdrawals") { call throws(CommandProblem) in
                let (id, money) = try movement(call)
                return try await send(WithdrawMoney(accountID: id, money: money), call)
            },
            CommandRoute("POST", "/v1/accounts/{id}/transfers") { call throws(CommandProblem) in
                let id = try call.identity("id")
                let (money, to) = try CommandForm.read(call) { fields in
                    try AccountForms.movement(&fields, hasCounterparty: true)
                }
                let transfer = TransferMoney(
                    accountID: id, counterparty: to, money: money, transferID: Self.newID("trf"))
                return try await send(transfer, call)
            },
            CommandRoute("POST", "/v1/accounts/{id}/freeze") { call throws(CommandProblem) in
                let id = try call.identity("id")
                let reason = try CommandForm.read(call) { try AccountForms.reason(&$0) }
                return try await send(FreezeAccount(accountID: id, reason: reason), call)
            },
        ]
    }

    private static func newID(_ prefix: String) -> String {
        var random = SystemRandomNumberGenerator()
        return "\(prefix)-\(EventID(version7At: .now, using: &random))"
    }

    private func movement(_ call: CommandCall) throws(CommandProblem) -> (String, Money) {
        let id = try call.identity("id")
        let (money, _) = try CommandForm.read(call) { try AccountForms.movement(&$0, hasCounterparty: false) }
        return (id, money)
    }

    private func send(
        _ command: some Command, _ call: CommandCall, isNew: Bool = false
    ) async throws(CommandProblem) -> CommandReplyMessage {
        try await bus.answer(
            command, call, source: source, collection: "/v1/accounts/", hasReadModel: false, isNew: isNew)
    }

    /// As it is, or with `?at=` as it was at that instant.
    private func account(_ call: CommandCall) async throws(CommandProblem) -> CommandReplyMessage {
        let id = try call.identity("id")
        let loaded: Loaded<AccountState>?
        let instant = try call.query["at"].map { text throws(CommandProblem) in try Self.instant(text) }
        do throws(CommandFailure) {
            if let instant {
                loaded = try await bus.account(id, at: instant)
            } else {
                loaded = try await bus.aggregate(AccountDecider.self, id)
            }
        } catch { throw CommandProblem(error) }
        guard let loaded, loaded.state.tenantID == call.tenantID else {
            throw CommandProblem(Refusal(Rejection(AccountRule.unknownAccount)))
        }
        let result = CommandResult(
            aggregateType: AccountDecider.kind.rawValue, aggregateID: id, version: loaded.version,
            body: AccountDocument.json(id, loaded))
        return CommandReplyMessage(result, collection: "/v1/accounts/", hasReadModel: false)
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
    /// An account as its events until an instant make it; nil where it was not opened by then.
    public func account(
        _ id: String, at instant: Timestamp
    ) async throws(CommandFailure) -> Loaded<AccountState>? {
        let results = try await query([AccountCommands.streams.history(of: id, until: instant)])
        do { return try AccountCommands.streams.loaded(results[...])[id] } catch { throw .failed }
    }
}

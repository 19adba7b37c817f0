internal import AccountCommands
internal import Accounts
internal import Events
internal import Synchronization
internal import WireJSON

/// Plays a bank over HTTP against a command-service with the domain `accounts`, like ``BankLoad`` on a database. The
/// service assigns the ids of the accounts.
public final class RemoteBankLoad: PlayedBank {
    private let client: CommandServiceClient
    private let player: BankPlayer
    /// The service's ids by the ids in the plan.
    private let accounts = Mutex<[String: String]>([:])

    /// - Parameters:
    ///   - configuration: the settings. Each connection sends one request at a time.
    ///   - client: the client of the service. The caller shuts it down.
    public init(_ configuration: BankLoad.Configuration, client: CommandServiceClient) {
        self.client = client
        player = BankPlayer(configuration, players: configuration.connections)
    }

    public var totals: BankLoad.Totals { player.totals }

    public func stop() { player.stop() }

    /// - Throws: ``CommandServiceClient/Failure`` if the service cannot be reached at the start or rejects the
    ///   requests.
    @discardableResult
    public func run() async throws -> BankLoad.Totals {
        try await client.check()
        try await player.run { try await self.carryOut($0) }
        return totals
    }

    private func carryOut(_ step: BankPlan.Step) async throws -> BankPlayer.Outcome {
        let request = RemoteCommand(step) { id in accounts.withLock { $0[id] } ?? id }
        switch try await client.send(request, unless: { player.isOver }) {
        case .accepted(let id):
            if case .open(let open) = step.command, let id { accounts.withLock { $0[open.accountID] = id } }
            return .carriedOut
        case .refused: return .refused
        case .absent:
            throw CommandServiceClient.Failure(
                code: .refused, description: "the service has no \(request.path): see [commands] domains")
        case .stopped: return .stopped
        }
    }
}

extension RemoteCommand {
    /// The request for a step of the bank.
    ///
    /// - Parameter name: returns the service's id of an account of the plan.
    init(_ step: BankPlan.Step, naming name: (String) -> String) {
        func path(_ account: String, _ action: String) -> String { "/v1/accounts/\(name(account))/\(action)" }
        func body(_ money: Money, to counterparty: String? = nil) -> [UInt8] {
            JSONWriter.object { writer in
                writer.member("amount", money.amount)
                writer.member("currency", money.currency.code)
                if let counterparty { writer.member("to", name(counterparty)) }
            }
        }
        switch step.command {
        case .open(let open):
            let json = JSONWriter.object { writer in
                writer.member("owner", open.account.owner)
                writer.member("currency", open.account.currency.code)
                writer.member("overdraftLimit", open.account.overdraftLimit)
            }
            self.init(path: "/v1/accounts", body: json, key: step.key)
        case .deposit(let deposit):
            self.init(path: path(deposit.accountID, "deposits"), body: body(deposit.money), key: step.key)
        case .withdraw(let withdrawal):
            self.init(path: path(withdrawal.accountID, "withdrawals"), body: body(withdrawal.money), key: step.key)
        case .transfer(let transfer):
            self.init(
                path: path(transfer.accountID, "transfers"), body: body(transfer.money, to: transfer.counterparty),
                key: step.key)
        }
    }
}

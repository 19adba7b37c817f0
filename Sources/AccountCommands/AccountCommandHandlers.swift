public import Accounts
public import Commands
public import Events

public struct OpenAccount: Command, Hashable {
    public static let name = "OpenAccount"
    public let accountID: String
    public let account: AccountOpened

    public init(accountID: String, account: AccountOpened) {
        self.accountID = accountID
        self.account = account
    }
}

public struct DepositMoney: Command, Hashable {
    public static let name = "DepositMoney"
    public let accountID: String
    public let money: Money

    public init(accountID: String, money: Money) {
        self.accountID = accountID
        self.money = money
    }
}

public struct WithdrawMoney: Command, Hashable {
    public static let name = "WithdrawMoney"
    public let accountID: String
    public let money: Money

    public init(accountID: String, money: Money) {
        self.accountID = accountID
        self.money = money
    }
}

/// Moves money from one account to another. Both sides are changed, or neither.
public struct TransferMoney: Command, Hashable {
    public static let name = "TransferMoney"
    public let accountID: String
    public let counterparty: String
    public let money: Money
    /// The id of this transfer, which both events contain.
    public let transferID: String

    public init(accountID: String, counterparty: String, money: Money, transferID: String) {
        self.accountID = accountID
        self.counterparty = counterparty
        self.money = money
        self.transferID = transferID
    }
}

public struct FreezeAccount: Command, Hashable {
    public static let name = "FreezeAccount"
    public let accountID: String
    public let reason: String

    public init(accountID: String, reason: String) {
        self.accountID = accountID
        self.reason = reason
    }
}

/// The commands of accounts, for a command bus.
public enum AccountCommands {
    /// The migration sets that the commands need. Their events are written to the table of `outbox`.
    public static let migrationSets = ["outbox", "commands"]

    public static let all: [any Command.Type] = [
        OpenAccount.self, DepositMoney.self, WithdrawMoney.self, TransferMoney.self, FreezeAccount.self,
    ]

    /// The repository of accounts, whose state is stored as events. An account with many events is loaded from its last
    /// snapshot.
    public static let streams = EventStreamRepository<AccountDecider>(snapshots: .every(10))

    static let resource = AggregateResource<AccountDecider>(
        "/v1/accounts", idPrefix: "acc", document: AccountDocument.json)

    /// - Parameter currencies: the accepted currencies of accounts.
    public static func handlers(_ currencies: CurrencyTable) -> [CommandHandler] {
        [
            handler(OpenAccount.self, currencies, { $0.accountID }, { .open($0.account) }),
            handler(DepositMoney.self, currencies, { $0.accountID }, { .deposit($0.money) }),
            handler(WithdrawMoney.self, currencies, { $0.accountID }, { .withdraw($0.money) }),
            transfer(currencies),
            handler(FreezeAccount.self, currencies, { $0.accountID }, { .freeze(reason: $0.reason) }),
        ]
    }

    private static func handler<C: Command>(
        _: C.Type, _ currencies: CurrencyTable, _ id: @escaping @Sendable (C) -> String,
        _ told: @escaping @Sendable (C) -> AccountCommand
    ) -> CommandHandler {
        resource.handler(C.self, id, told) { _, scope in facts(scope, currencies) }
    }

    private static func transfer(_ currencies: CurrencyTable) -> CommandHandler {
        CommandHandler(TransferMoney.self, on: [AccountDecider.self]) { command, plan in
            plan.aggregate(AccountDecider.self, command.accountID)
            plan.aggregate(AccountDecider.self, command.counterparty)
        } handle: { (command, scope) throws(Refusal) in
            let facts = facts(scope, currencies)
            if command.accountID == command.counterparty { throw Refusal(Rejection(AccountRule.sameAccount)) }
            func side(_ direction: TransferCompleted.Direction, _ other: String) -> AccountCommand {
                .transfer(
                    TransferCompleted(
                        transferID: command.transferID, direction: direction, money: command.money,
                        counterparty: other))
            }
            // If the second side is refused, the transaction also rolls back the first one.
            try scope.decide(AccountDecider.self, command.accountID, side(.out, command.counterparty), facts)
            guard let other = scope.aggregate(AccountDecider.self, command.counterparty),
                other.state.tenantID == facts.tenantID
            else { throw Refusal(Rejection(AccountRule.unknownCounterparty)) }
            try scope.decide(AccountDecider.self, command.counterparty, side(.in, command.accountID), facts)
            return resource.result(command.accountID, scope)
        }
    }

    private static func facts(_ scope: CommandScope, _ currencies: CurrencyTable) -> AccountDecisionFacts {
        AccountDecisionFacts(tenantID: scope.tenantID, currencies: currencies)
    }
}

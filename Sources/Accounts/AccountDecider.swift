public import Events
public import StreamCore

/// The commands of an account. Both accounts of a transfer receive it, each with its own direction.
public enum AccountCommand: Hashable, Sendable {
    case open(AccountOpened)
    case deposit(Money)
    case withdraw(Money)
    /// Pays the money out or receives it.
    case transfer(TransferCompleted)
    case freeze(reason: String)
}

/// The state of an account for its rules and answers.
public struct AccountState: Hashable, Sendable, TenantOwned {
    /// The tenant that owns the account; nil without tenants.
    public var tenantID: String?
    public var owner: String
    public var currency: Currency
    public var balance: DecimalAmount
    public var overdraftLimit: DecimalAmount
    public var isFrozen: Bool
    public var openedAt: Timestamp
    public var updatedAt: Timestamp

    public init(
        tenantID: String?, owner: String, currency: Currency, balance: DecimalAmount, overdraftLimit: DecimalAmount,
        isFrozen: Bool, openedAt: Timestamp, updatedAt: Timestamp
    ) {
        self.tenantID = tenantID
        self.owner = owner
        self.currency = currency
        self.balance = balance
        self.overdraftLimit = overdraftLimit
        self.isFrozen = isFrozen
        self.openedAt = openedAt
        self.updatedAt = updatedAt
    }
}

/// The external facts that the rules of accounts need.
public struct AccountDecisionFacts: Hashable, Sendable, TenantOwned {
    /// The tenant of the command's sender. Accounts of other tenants do not exist for it.
    public var tenantID: String?
    public var currencies: CurrencyTable

    public init(tenantID: String? = nil, currencies: CurrencyTable = .standard) {
        self.tenantID = tenantID
        self.currencies = currencies
    }
}

/// The rules of accounts.
public enum AccountDecider: TenantDecider {
    public typealias State = AccountState
    public typealias Command = AccountCommand
    public typealias Payload = AccountEventPayload
    public typealias Rules = AccountRule
    public typealias Facts = AccountDecisionFacts
    public typealias Refusal = Rejection<AccountRule>

    public static let kind = AccountKind.account
    public static let unknown = AccountRule.unknownAccount

    public static func decide(
        _ command: AccountCommand, _ state: AccountState?, _ facts: AccountDecisionFacts
    ) throws(Refusal) -> [AccountEventPayload] {
        if case .open(let account) = command { return [try open(account, state, facts)] }
        let state = try known(state, facts)
        switch command {
        case .open: return []
        case .deposit(let money):
            try check(money, state, facts, isPayment: false)
            return [.moneyDeposited(money)]
        case .withdraw(let money):
            try check(money, state, facts, isPayment: true)
            return [.moneyWithdrawn(money)]
        case .transfer(let transfer):
            try check(transfer.money, state, facts, isPayment: transfer.direction == .out)
            return [.transferCompleted(transfer)]
        case .freeze(let reason):
            return state.isFrozen ? [] : [.accountFrozen(reason: reason)]
        }
    }

    private static func open(
        _ account: AccountOpened, _ state: AccountState?, _ facts: AccountDecisionFacts
    ) throws(Refusal) -> AccountEventPayload {
        if state != nil { throw Refusal(.accountExists) }
        guard facts.currencies.digits(of: account.currency) != nil else {
            throw Refusal(.unknownCurrency, "The currency \(account.currency) is not accepted.")
        }
        guard account.overdraftLimit.coefficient >= 0,
            facts.currencies.fits(account.overdraftLimit, account.currency)
        else {
            throw Refusal(.invalidAmount, "The overdraft limit is not a valid amount in \(account.currency).")
        }
        return .accountOpened(account)
    }

    private static func check(
        _ money: Money, _ state: AccountState, _ facts: AccountDecisionFacts, isPayment: Bool
    ) throws(Refusal) {
        guard money.currency == state.currency else {
            throw Refusal(
                .currencyMismatch, "The account is in \(state.currency), but the amount is in \(money.currency).")
        }
        guard money.amount.coefficient > 0, facts.currencies.fits(money.amount, money.currency) else {
            throw Refusal(.invalidAmount)
        }
        if state.isFrozen { throw Refusal(.accountFrozen) }
        guard let balance = state.balance(after: money.amount, isPayment: isPayment),
            balance.integerDigits <= FieldReader.maximumIntegerDigits
        else { throw Refusal(.balanceTooLarge) }
        if isPayment {
            guard let room = try? balance.adding(state.overdraftLimit), room.coefficient >= 0 else {
                throw Refusal(.insufficientFunds)
            }
        }
    }

    // MARK: events

    public static func evolve(_ state: AccountState?, _ event: AccountEvent) -> AccountState? {
        let at = event.identity.timestamp
        if case .accountOpened(let account) = event.payload {
            return AccountState(
                tenantID: event.metadata.tenantID, owner: account.owner, currency: account.currency, balance: .zero,
                overdraftLimit: account.overdraftLimit, isFrozen: false, openedAt: at, updatedAt: at)
        }
        guard var state else { return nil }
        state.updatedAt = at
        var balance: DecimalAmount? = state.balance
        switch event.payload {
        case .accountOpened: break
        case .moneyDeposited(let money): balance = state.balance(after: money.amount, isPayment: false)
        case .moneyWithdrawn(let money): balance = state.balance(after: money.amount, isPayment: true)
        case .transferCompleted(let transfer):
            balance = state.balance(after: transfer.money.amount, isPayment: transfer.direction == .out)
        case .accountFrozen: state.isFrozen = true
        }
        guard let balance else { return nil }
        state.balance = balance
        return state
    }
}

extension AccountState {
    /// nil if the result has too many digits.
    fileprivate func balance(after amount: DecimalAmount, isPayment: Bool) -> DecimalAmount? {
        isPayment ? try? balance.subtracting(amount) : try? balance.adding(amount)
    }
}

public import Events

/// The rules of accounts.
public enum AccountRule: String, Rule {
    case unknownAccount = "unknown-account"
    case accountExists = "account-exists"
    case accountFrozen = "account-frozen"
    case insufficientFunds = "insufficient-funds"
    case invalidAmount = "invalid-amount"
    case unknownCurrency = "unknown-currency"
    case currencyMismatch = "currency-mismatch"
    case balanceTooLarge = "balance-too-large"
    case sameAccount = "same-account"
    case unknownCounterparty = "unknown-counterparty"

    public var kind: RuleKind {
        switch self {
        case .unknownAccount: .notFound
        case .accountExists, .accountFrozen, .insufficientFunds, .balanceTooLarge: .conflict
        case .invalidAmount, .unknownCurrency, .currencyMismatch, .sameAccount, .unknownCounterparty: .invalid
        }
    }

    public var summary: String {
        switch self {
        case .unknownAccount: "There is no such account."
        case .accountExists: "An account with this id already exists."
        case .accountFrozen: "A frozen account can neither pay nor receive money."
        case .insufficientFunds: "The balance would fall below the overdraft limit."
        case .invalidAmount:
            "An amount must be greater than zero and must not have more decimal places than its currency."
        case .unknownCurrency: "The currency is not accepted."
        case .currencyMismatch: "All amounts of an account must be in its currency."
        case .balanceTooLarge: "The balance would have more digits than an amount may have."
        case .sameAccount: "A transfer must be between two different accounts."
        case .unknownCounterparty: "The account that receives the transfer does not exist."
        }
    }
}

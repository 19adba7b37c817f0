public import Events
public import WireJSON

/// One event of an account.
public typealias AccountEvent = Event<AccountEventPayload>

/// The aggregates of the domain.
public enum AccountKind: String, AggregateKind {
    case account = "Account"
}

public enum AccountEventType: String, EventType {
    case accountOpened = "AccountOpened"
    case moneyDeposited = "MoneyDeposited"
    case moneyWithdrawn = "MoneyWithdrawn"
    case transferCompleted = "TransferCompleted"
    case accountFrozen = "AccountFrozen"

    public var aggregateType: AccountKind { .account }
}

public struct AccountOpened: Hashable, Sendable {
    public let owner: String
    public let currency: Currency
    /// The maximum amount by which the balance may be below zero; 0 for none.
    public let overdraftLimit: DecimalAmount

    public init(owner: String, currency: Currency, overdraftLimit: DecimalAmount = .zero) {
        self.owner = owner
        self.currency = currency
        self.overdraftLimit = overdraftLimit
    }
}

/// One side of a transfer. The other account has its own event for the other side.
public struct TransferCompleted: Hashable, Sendable {
    public enum Direction: String, Sendable {
        case `in`, out
    }

    /// The id of the transfer, which is the same on both sides.
    public let transferID: String
    public let direction: Direction
    public let money: Money
    /// The other account.
    public let counterparty: String

    public init(transferID: String, direction: Direction, money: Money, counterparty: String) {
        self.transferID = transferID
        self.direction = direction
        self.money = money
        self.counterparty = counterparty
    }
}

/// The payload of an account's event.
public enum AccountEventPayload: Hashable, Sendable {
    case accountOpened(AccountOpened)
    case moneyDeposited(Money)
    case moneyWithdrawn(Money)
    case transferCompleted(TransferCompleted)
    case accountFrozen(reason: String)

    public var type: AccountEventType {
        switch self {
        case .accountOpened: .accountOpened
        case .moneyDeposited: .moneyDeposited
        case .moneyWithdrawn: .moneyWithdrawn
        case .transferCompleted: .transferCompleted
        case .accountFrozen: .accountFrozen
        }
    }
}

extension AccountEventPayload: EventPayload {
    public static func decode(
        _ type: AccountEventType, _ fields: inout FieldReader
    ) throws(DecodeProblem) -> AccountEventPayload {
        try AccountPayloadDecoder.decode(type, &fields)
    }

    public func write(to writer: inout JSONWriter) {
        writer.beginObject()
        switch self {
        case .accountOpened(let account):
            writer.member("owner", account.owner)
            writer.member("currency", account.currency.code)
            writer.member("overdraftLimit", account.overdraftLimit)
        case .moneyDeposited(let money), .moneyWithdrawn(let money): writer.members(of: money)
        case .transferCompleted(let transfer):
            writer.member("transferId", transfer.transferID)
            writer.member("direction", transfer.direction.rawValue)
            writer.members(of: transfer.money)
            writer.member("counterparty", transfer.counterparty)
        case .accountFrozen(let reason): writer.member("reason", reason)
        }
        writer.endObject()
    }
}

internal import Events
internal import WireJSON

/// Decodes the payload of each event type.
enum AccountPayloadDecoder {
    static func decode(
        _ type: AccountEventType, _ fields: inout FieldReader
    ) throws(DecodeProblem) -> AccountEventPayload {
        var members = Members()
        let start = try fields.enterObject()
        while let key = try fields.nextKey() { try members.read(key, &fields) }
        switch type {
        case .accountOpened:
            return .accountOpened(
                AccountOpened(
                    owner: try FieldReader.required(members.owner, "owner", in: start),
                    currency: try FieldReader.required(members.currency, "currency", in: start),
                    overdraftLimit: members.overdraftLimit ?? .zero))
        case .moneyDeposited: return .moneyDeposited(try members.money(in: start))
        case .moneyWithdrawn: return .moneyWithdrawn(try members.money(in: start))
        case .transferCompleted:
            return .transferCompleted(
                TransferCompleted(
                    transferID: try FieldReader.required(members.transferID, "transferId", in: start),
                    direction: try FieldReader.required(members.direction, "direction", in: start),
                    money: try members.money(in: start),
                    counterparty: try FieldReader.required(members.counterparty, "counterparty", in: start)))
        case .accountFrozen:
            return .accountFrozen(reason: try FieldReader.required(members.reason, "reason", in: start))
        }
    }

    /// The members of all payloads. Each name has the same meaning in all of them.
    private struct Members {
        var owner: String?
        var currency: Currency?
        var overdraftLimit: DecimalAmount?
        var amount: DecimalAmount?
        var transferID: String?
        var direction: TransferCompleted.Direction?
        var counterparty: String?
        var reason: String?

        mutating func read(_ key: JSONText, _ fields: inout FieldReader) throws(DecodeProblem) {
            if fields.matches(key, "amount") {
                try fields.once(amount == nil, key)
                amount = try fields.amount()
            } else if fields.matches(key, "currency") {
                try fields.once(currency == nil, key)
                currency = try fields.currency()
            } else if fields.matches(key, "counterparty") {
                try fields.once(counterparty == nil, key)
                counterparty = try fields.identity()
            } else if fields.matches(key, "direction") {
                try fields.once(direction == nil, key)
                let text = try fields.rawText()
                direction = TransferCompleted.Direction(rawValue: try fields.string(of: text))
                if direction == nil {
                    throw DecodeProblem(.invalidValue, at: text.range.lowerBound, "expected in or out")
                }
            } else if fields.matches(key, "transferId") {
                try fields.once(transferID == nil, key)
                transferID = try fields.identity()
            } else if fields.matches(key, "owner") {
                try fields.once(owner == nil, key)
                owner = try fields.text()
            } else if fields.matches(key, "overdraftLimit") {
                try fields.once(overdraftLimit == nil, key)
                overdraftLimit = try fields.amount()
            } else if fields.matches(key, "reason") {
                try fields.once(reason == nil, key)
                reason = try fields.text()
            } else {
                try fields.skip()
            }
        }

        func money(in start: Int) throws(DecodeProblem) -> Money {
            Money(
                try FieldReader.required(amount, "amount", in: start),
                try FieldReader.required(currency, "currency", in: start))
        }
    }
}

internal import Accounts
internal import Commands
internal import Events
internal import WireJSON

/// The bodies of the requests about accounts.
enum AccountForms {
    private typealias Broken = CommandForm.RuleBroken

    /// `POST /v1/accounts`.
    static func account(_ fields: inout FieldReader) throws -> AccountOpened {
        var (owner, currency, limit): (String?, Currency?, DecimalAmount?) = (nil, nil, nil)
        let start = try CommandForm.object(&fields) { key, fields in
            if fields.matches(key, "owner") {
                owner = try text(&fields)
            } else if fields.matches(key, "currency") {
                currency = try self.currency(&fields)
            } else if fields.matches(key, "overdraftLimit") {
                limit = try fields.amount()
            } else {
                return false
            }
            return true
        }
        return AccountOpened(
            owner: try FieldReader.required(owner, "owner", in: start),
            currency: try FieldReader.required(currency, "currency", in: start), overdraftLimit: limit ?? .zero)
    }

    /// The deposits, withdrawals and transfers; the last ones name another account.
    static func movement(
        _ fields: inout FieldReader, hasCounterparty: Bool
    ) throws -> (money: Money, counterparty: String) {
        var (amount, currency, counterparty): (DecimalAmount?, Currency?, String?) = (nil, nil, nil)
        let start = try CommandForm.object(&fields) { key, fields in
            if fields.matches(key, "amount") {
                amount = try fields.amount()
            } else if fields.matches(key, "currency") {
                currency = try self.currency(&fields)
            } else if hasCounterparty, fields.matches(key, "to") {
                counterparty = try fields.identity()
            } else {
                return false
            }
            return true
        }
        let money = Money(
            try FieldReader.required(amount, "amount", in: start),
            try FieldReader.required(currency, "currency", in: start))
        return (money, hasCounterparty ? try FieldReader.required(counterparty, "to", in: start) : "")
    }

    /// `POST /v1/accounts/{id}/freeze`.
    static func reason(_ fields: inout FieldReader) throws -> String {
        var reason: String?
        let start = try CommandForm.object(&fields) { key, fields in
            guard fields.matches(key, "reason") else { return false }
            reason = try text(&fields)
            return true
        }
        return try FieldReader.required(reason, "reason", in: start)
    }

    /// A text that people read: its length has a limit.
    private static func text(_ fields: inout FieldReader) throws -> String {
        let raw = try fields.rawText()
        let text = try fields.string(of: raw)
        guard (1...500).contains(text.utf8.count) else {
            throw DecodeProblem(.invalidValue, at: raw.range.lowerBound, "a text has 1–500 bytes")
        }
        return text
    }

    private static func currency(_ fields: inout FieldReader) throws -> Currency {
        let code = try fields.text()
        guard let currency = Currency(code) else {
            throw Broken(Rejection(AccountRule.unknownCurrency, "A currency has three upper-case letters."))
        }
        return currency
    }
}

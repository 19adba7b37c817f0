internal import Accounts
internal import Commands
internal import Events
internal import WireJSON

/// Reads the bodies of requests about accounts.
enum AccountForms {
    /// Reads the body of `POST /v1/accounts`.
    static func account(_ fields: inout FieldReader) throws -> AccountOpened {
        var (owner, currency, limit): (String?, Currency?, DecimalAmount?) = (nil, nil, nil)
        let start = try CommandForm.object(&fields) { key, fields in
            if fields.matches(key, "owner") {
                owner = try CommandForm.text(&fields)
            } else if fields.matches(key, "currency") {
                currency = try CommandForm.currency(&fields, else: AccountRule.unknownCurrency)
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

    /// Reads the body of a deposit, a withdrawal or a transfer. A transfer also names the other account.
    static func movement(
        _ fields: inout FieldReader, hasCounterparty: Bool
    ) throws -> (money: Money, counterparty: String) {
        var (amount, currency, counterparty): (DecimalAmount?, Currency?, String?) = (nil, nil, nil)
        let start = try CommandForm.object(&fields) { key, fields in
            if fields.matches(key, "amount") {
                amount = try fields.amount()
            } else if fields.matches(key, "currency") {
                currency = try CommandForm.currency(&fields, else: AccountRule.unknownCurrency)
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
}

public import Accounts
public import Commands
public import Events
internal import StreamCore
public import WireJSON

extension AccountState: SnapshotState {
    public static let snapshotFormat: Int32 = 1

    public func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("tenantId", tenantID)
        writer.member("owner", owner)
        writer.member("currency", currency.code)
        writer.member("balance", balance)
        writer.member("overdraftLimit", overdraftLimit)
        writer.key("isFrozen")
        writer.bool(isFrozen)
        writer.key("openedAt")
        writer.string(openedAt)
        writer.key("updatedAt")
        writer.string(updatedAt)
        writer.endObject()
    }

    public init(fromSnapshot fields: inout FieldReader) throws(DecodeProblem) {
        var texts: [String: String] = [:]
        var (balance, limit): (DecimalAmount?, DecimalAmount?) = (nil, nil)
        var (openedAt, updatedAt): (Timestamp?, Timestamp?) = (nil, nil)
        var currency: Currency?
        var isFrozen = false
        let start = try fields.enterObject()
        while let key = try fields.nextKey() {
            if fields.matches(key, "tenantId") {
                texts["tenantId"] = try fields.text()
            } else if fields.matches(key, "owner") {
                texts["owner"] = try fields.text()
            } else if fields.matches(key, "currency") {
                currency = try fields.currency()
            } else if fields.matches(key, "balance") {
                balance = try fields.amount()
            } else if fields.matches(key, "overdraftLimit") {
                limit = try fields.amount()
            } else if fields.matches(key, "openedAt") {
                openedAt = try fields.timestamp()
            } else if fields.matches(key, "updatedAt") {
                updatedAt = try fields.timestamp()
            } else if fields.matches(key, "isFrozen") {
                isFrozen = try fields.boolean()
            } else {
                try fields.skip()
            }
        }
        self.init(
            tenantID: texts["tenantId"], owner: try FieldReader.required(texts["owner"], "owner", in: start),
            currency: try FieldReader.required(currency, "currency", in: start),
            balance: try FieldReader.required(balance, "balance", in: start),
            overdraftLimit: try FieldReader.required(limit, "overdraftLimit", in: start), isFrozen: isFrozen,
            openedAt: try FieldReader.required(openedAt, "openedAt", in: start),
            updatedAt: try FieldReader.required(updatedAt, "updatedAt", in: start))
    }
}

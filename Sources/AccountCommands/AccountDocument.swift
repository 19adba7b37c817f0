public import Accounts
public import Commands
internal import Events
internal import StreamCore
internal import WireJSON

/// The representation of an account for clients.
public enum AccountDocument {
    /// The account's JSON object.
    public static func json(_ accountID: String, _ account: Loaded<AccountState>) -> [UInt8] {
        let state = account.state
        var writer = JSONWriter(capacity: 256)
        writer.beginObject()
        writer.member("accountId", accountID)
        writer.member("owner", state.owner)
        writer.member("currency", state.currency.code)
        writer.member("balance", state.balance)
        writer.member("overdraftLimit", state.overdraftLimit)
        writer.member("status", state.isFrozen ? "frozen" : "open")
        writer.key("openedAt")
        writer.string(state.openedAt)
        writer.key("updatedAt")
        writer.string(state.updatedAt)
        writer.member("version", account.version)
        writer.endObject()
        return writer.finish()
    }
}

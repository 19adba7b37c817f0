/// What another session sent with NOTIFY.
public struct PostgresNotification: Sendable, Hashable {
    /// The channel's name.
    public let channel: String
    /// The sender's text; empty without one.
    public let payload: String
    /// The server process of the session that sent it.
    public let serverProcessID: Int32
}

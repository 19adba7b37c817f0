/// The channels of PostgreSQL's NOTIFY by which one daemon wakes another. The sender and the listener read the same
/// default, so that they find each other without a setting.
public enum NotifyChannels {
    /// New rows of the outbox: from the program that executes commands, to the relay.
    public static let outbox = "millrace_outbox"
    /// Applied events of the read model of orders: from its projection, to the query service.
    public static let orderSummary = "millrace_order_summary"

    /// The channel that a setting names; nil for an empty text.
    public static func channel(_ setting: String) -> String? { setting.isEmpty ? nil : setting }

    /// Checks the length of a setting. The server shortens longer names, but the sender and the listener must use the
    /// same name.
    public static func problem(_ setting: String) -> String? {
        setting.utf8.count > 63 ? "must have at most 63 bytes" : nil
    }
}

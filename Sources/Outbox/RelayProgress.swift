/// Where a shard of the relay stands, for health checks and status lines.
public struct RelayProgress: Sendable, Hashable {
    /// What this process does for the shard.
    public enum Standing: Sendable, Hashable {
        /// It publishes the shard.
        case publishing
        /// Another process publishes it.
        case standingBy
        /// It can do neither now, for this reason, and tries again.
        case away(String)
    }

    /// The shard, from 0.
    public let shard: Int
    public let standing: Standing
    /// Rows on their way to Kafka.
    public let inFlight: Int
    /// Rows that are not read yet, by the sequence's last value: an estimate from above.
    public let backlog: Int64
    /// Keys that wait for an operator.
    public let blockedKeys: Int
    /// Topics that accept no records now.
    public let heldTopics: Int
    /// Rows that Kafka has, and that the database refuses to remove.
    public let unremovedRows: Int
    /// What an operator has to look at although events are published; nil when there is nothing.
    public let trouble: String?
    /// Events acknowledged by Kafka since the process started.
    public let published: Int64

    /// Whether this process publishes the shard.
    public var isActive: Bool { standing == .publishing }
}

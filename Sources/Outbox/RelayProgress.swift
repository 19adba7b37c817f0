/// The progress of a shard, for health checks and status lines.
public struct RelayProgress: Sendable, Hashable {
    /// What this process does for the shard.
    public enum Standing: Sendable, Hashable {
        /// It publishes the shard.
        case publishing
        /// Another process publishes it.
        case standingBy
        /// It can do neither for this reason, and tries again.
        case away(String)
    }

    /// The shard, from 0.
    public let shard: Int
    public let standing: Standing
    /// The number of rows in flight to Kafka.
    public let inFlight: Int
    /// The number of rows that are not read yet. This is an upper estimate, computed from the sequence's last value.
    public let backlog: Int64
    /// The number of keys that wait for an operator.
    public let blockedKeys: Int
    /// The number of topics that accept no records now.
    public let heldTopics: Int
    /// The number of published rows that the database refuses to remove.
    public let unremovedRows: Int
    /// A problem that an operator has to look at although events are published; nil if there is none.
    public let trouble: String?
    /// The number of events that Kafka acknowledged since the process started.
    public let published: Int64

    /// Whether this process publishes the shard.
    public var isActive: Bool { standing == .publishing }
}

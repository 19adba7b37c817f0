public import StreamCore

/// The lag of consumers at one time.
public struct LagReport: Sendable {
    /// One partition of one consumer.
    public struct Row: Sendable {
        /// The name of the projection or the consumer group.
        public let consumer: String
        /// The projection's version; nil for a consumer group.
        public let version: Int?
        public let partition: TopicPartition
        public let next: Int64
        public let end: Int64?
        /// The number of unread offsets; nil if Kafka does not report the end of the partition.
        public let lag: Int64?
        /// The age of the first unread record.
        public let secondsBehind: Double?
        public let readPerSecond: Double?
        public let writtenPerSecond: Double?
        /// The time until everything is read, if the rates do not change; nil if that will not happen or is unknown.
        public let secondsToCatchUp: Double?
        /// nil if Kafka does not report the end of the partition.
        public let state: LagState?
        /// The time until the broker removes unread records, if the rates do not change; nil if that will not happen or
        /// is unknown.
        public let secondsUntilRemoval: Double?
        /// The number of offsets that the broker removed before they were read.
        public let removedUnread: Int64
        /// Whether the version is being built, and no reader uses it yet.
        public let isBuilding: Bool
    }

    /// The rows, ordered by consumer, version and partition.
    public let rows: [Row]

    public init(rows: [Row]) {
        self.rows = rows
    }

    /// The sum of the lag of all partitions.
    public var totalLag: Int64 { rows.reduce(0) { $0 + ($1.lag ?? 0) } }
    public var maxSecondsBehind: Double { rows.compactMap(\.secondsBehind).max() ?? 0 }
    /// The worst state of all rows.
    public var state: LagState { rows.compactMap(\.state).max() ?? .ok }
}

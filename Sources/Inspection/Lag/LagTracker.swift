public import StreamCore

/// The positions of consumers at one time, read from the database and from Kafka.
public struct LagReading: Sendable {
    /// A projection in one version, or a consumer group.
    public struct Consumer: Sendable, Hashable {
        public let name: String
        public let version: Int?

        public init(name: String, version: Int?) {
            self.name = name
            self.version = version
        }
    }

    /// The position of a consumer in a partition.
    public struct Position: Sendable {
        public let next: Int64
        /// The time of the last progress, in milliseconds since 1970; nil if it is not recorded. Before the first
        /// progress it is the time at which the consumer was registered.
        public let movedAtMs: Int64?
        public var oldestUnreadMs: Int64?
        /// Whether no record follows, although the partition's end has a greater offset. Markers of transactions and
        /// compacted records have offsets too.
        public var hasReadAll = false

        public init(next: Int64, movedAtMs: Int64?, oldestUnreadMs: Int64? = nil) {
            self.next = next
            self.movedAtMs = movedAtMs
            self.oldestUnreadMs = oldestUnreadMs
        }
    }

    /// The time of the reading, in milliseconds since 1970.
    public var atMs: Int64
    public var positions: [Consumer: [TopicPartition: Position]]
    /// The ends of partitions, as far as Kafka reports them.
    public var ends: [TopicPartition: Int64] = [:]
    /// The oldest offsets that the brokers have.
    public var beginnings: [TopicPartition: Int64] = [:]
    /// The retention of topics in milliseconds, if it is limited and known.
    public var retentionMs: [String: Int64] = [:]
    /// Whether the processes of consumers are running, as far as is known.
    public var isRunning: [String: Bool] = [:]
    /// Consumers that an operator has paused.
    public var paused: Set<String> = []
    /// Versions of read models that are being built, which no reader uses yet.
    public var building: Set<Consumer> = []

    public init(atMs: Int64, positions: [Consumer: [TopicPartition: Position]]) {
        self.atMs = atMs
        self.positions = positions
    }
}

/// Evaluates consecutive readings. A pure value that reads no clock.
public struct LagTracker: Sendable {
    private struct Key: Hashable {
        let consumer: LagReading.Consumer
        let partition: TopicPartition
    }

    private var windows: [Key: LagWindow] = [:]

    public init() {}

    /// Adds a reading, and returns the current lag.
    public mutating func report(_ reading: LagReading) -> LagReport {
        var rows: [LagReport.Row] = []
        var known: [Key: LagWindow] = [:]
        for (consumer, positions) in reading.positions {
            for (partition, position) in positions {
                let key = Key(consumer: consumer, partition: partition)
                var window = windows[key] ?? LagWindow()
                if let end = reading.ends[partition] {
                    window.note(
                        LagSample(
                            // The ends are read before the offsets, so an offset may be above the end.
                            atMs: reading.atMs, next: position.next,
                            end: position.hasReadAll ? position.next : max(end, position.next),
                            oldestUnreadMs: position.oldestUnreadMs, movedAtMs: position.movedAtMs))
                    known[key] = window
                }
                rows.append(Self.row(consumer, partition, position, window, reading))
            }
        }
        // Partitions without a consumer are removed.
        windows = known
        return LagReport(
            rows: rows.sorted {
                ($0.consumer, $0.version ?? 0, $0.partition) < ($1.consumer, $1.version ?? 0, $1.partition)
            })
    }

    private static func state(
        of consumer: LagReading.Consumer, _ window: LagWindow, _ reading: LagReading
    ) -> LagState {
        if reading.paused.contains(consumer.name) { return .paused }
        return window.state(isRunning: reading.isRunning[consumer.name])
    }

    private static func row(
        _ consumer: LagReading.Consumer, _ partition: TopicPartition, _ position: LagReading.Position,
        _ window: LagWindow, _ reading: LagReading
    ) -> LagReport.Row {
        let isKnown = reading.ends[partition] != nil
        let last = isKnown ? window.last : nil
        let retentionMs = reading.retentionMs[partition.topic]
        return LagReport.Row(
            consumer: consumer.name, version: consumer.version, partition: partition, next: position.next,
            end: last?.end, lag: last?.lag, secondsBehind: last?.behindMs.map { Double($0) / 1_000 },
            readPerSecond: isKnown ? window.readPerSecond : nil,
            writtenPerSecond: isKnown ? window.writtenPerSecond : nil,
            secondsToCatchUp: isKnown ? window.secondsToCatchUp : nil,
            state: isKnown ? state(of: consumer, window, reading) : nil,
            secondsUntilRemoval: isKnown ? retentionMs.flatMap { window.secondsUntilRemoval(retentionMs: $0) } : nil,
            removedUnread: reading.beginnings[partition].map { max($0 - position.next, 0) } ?? 0,
            isBuilding: reading.building.contains(consumer))
    }
}

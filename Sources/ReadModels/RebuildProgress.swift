public import StreamCore

/// The progress of a version that is being built: how many of its offsets are passed.
public struct RebuildProgress: Sendable, Equatable {
    /// One partition.
    public struct Partition: Sendable, Equatable {
        public let partition: TopicPartition
        public let start: Int64
        /// The next offset to apply.
        public let next: Int64
        /// The end of the partition when the rebuild was started.
        public let end: Int64

        public init(partition: TopicPartition, start: Int64, next: Int64, end: Int64) {
            self.partition = partition
            self.start = start
            self.next = next
            self.end = end
        }
    }

    /// The partitions, ordered by topic and number.
    public let partitions: [Partition]
    /// The number of records that the live version has applied and this one has not.
    public let behindLive: Int64

    public init(partitions: [Partition], behindLive: Int64) {
        self.partitions = partitions
        self.behindLive = behindLive
    }

    /// The number of passed offsets, of ``total``.
    public var done: Int64 { partitions.reduce(0) { $0 + (min($1.next, $1.end) - min($1.start, $1.end)) } }
    /// The number of offsets between the start of the rebuild and the ends of the topics at that time.
    public var total: Int64 { partitions.reduce(0) { $0 + max(0, $1.end - $1.start) } }
    /// Whether all records that existed at the start are applied.
    public var hasReachedEnds: Bool { partitions.allSatisfy { $0.next >= $0.end } }
    /// The part of the offsets that is passed, between 0 and 1.
    public var fraction: Double { total == 0 ? 1 : Double(done) / Double(total) }
}

/// Computes the rate of a rebuild over the last seconds, and the remaining time at that rate. A pure value.
public struct RebuildPace: Sendable {
    private var samples: [(at: ContinuousClock.Instant, done: Int64)] = []
    private let window: Duration

    /// - Parameter window: the time over which the rate is computed.
    public init(window: Duration = .seconds(15)) {
        self.window = window
    }

    /// Adds a count of the progress. If the count goes back, as after an abort, the computation begins again.
    public mutating func observe(_ done: Int64, at now: ContinuousClock.Instant) {
        if let last = samples.last, done < last.done { samples = [] }
        samples.append((now, done))
        // One sample that is older than the window stays. The rate is computed from it.
        while samples.count > 2, now - samples[1].at >= window { samples.removeFirst() }
    }

    /// Records per second; nil before there are samples of two different times.
    public var perSecond: Double? {
        guard let first = samples.first, let last = samples.last, last.at > first.at else { return nil }
        return Double(last.done - first.done) / ((last.at - first.at) / .seconds(1))
    }

    /// The seconds until `remaining` more records are applied; nil if there is no progress.
    public func secondsLeft(_ remaining: Int64) -> Double? {
        guard let perSecond, perSecond > 0 else { return remaining == 0 ? 0 : nil }
        return Double(remaining) / perSecond
    }
}

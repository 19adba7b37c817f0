public import StreamCore

/// How far a version is built: offsets passed, of those to be passed.
public struct RebuildProgress: Sendable, Equatable {
    /// One partition.
    public struct Partition: Sendable, Equatable {
        public let partition: TopicPartition
        public let start: Int64
        /// The next offset to apply.
        public let next: Int64
        /// The end when the rebuild was started.
        public let end: Int64

        public init(partition: TopicPartition, start: Int64, next: Int64, end: Int64) {
            self.partition = partition
            self.start = start
            self.next = next
            self.end = end
        }
    }

    /// By topic and number.
    public let partitions: [Partition]
    /// Records that the live version has applied and this one has not.
    public let behindLive: Int64

    public init(partitions: [Partition], behindLive: Int64) {
        self.partitions = partitions
        self.behindLive = behindLive
    }

    /// Offsets passed, of ``total``.
    public var done: Int64 { partitions.reduce(0) { $0 + (min($1.next, $1.end) - min($1.start, $1.end)) } }
    /// Offsets between where the rebuild began and where the topics ended then.
    public var total: Int64 { partitions.reduce(0) { $0 + max(0, $1.end - $1.start) } }
    /// Whether all that was there at the start is applied.
    public var hasReachedEnds: Bool { partitions.allSatisfy { $0.next >= $0.end } }
    /// Between 0 and 1.
    public var fraction: Double { total == 0 ? 1 : Double(done) / Double(total) }
}

/// The rate of a rebuild over the last seconds, and when it will be done at that rate. A pure value.
public struct RebuildPace: Sendable {
    private var samples: [(at: ContinuousClock.Instant, done: Int64)] = []
    private let window: Duration

    /// - Parameter window: how far the rate looks back.
    public init(window: Duration = .seconds(15)) {
        self.window = window
    }

    /// Notes how far the rebuild is. A count that goes back, as after an abort, begins a new one.
    public mutating func observe(_ done: Int64, at now: ContinuousClock.Instant) {
        if let last = samples.last, done < last.done { samples = [] }
        samples.append((now, done))
        // One that is older than the window stays: the rate is that since then.
        while samples.count > 2, now - samples[1].at >= window { samples.removeFirst() }
    }

    /// Records a second; nil until two different moments are known.
    public var perSecond: Double? {
        guard let first = samples.first, let last = samples.last, last.at > first.at else { return nil }
        return Double(last.done - first.done) / ((last.at - first.at) / .seconds(1))
    }

    /// Seconds until `remaining` more are done; nil while nothing moves.
    public func secondsLeft(_ remaining: Int64) -> Double? {
        guard let perSecond, perSecond > 0 else { return remaining == 0 ? 0 : nil }
        return Double(remaining) / perSecond
    }
}

internal import StreamCore

/// What is to be read of each partition, and what has been: a pure value.
struct TailProgress {
    /// What is to be read of one partition.
    struct Range: Equatable {
        /// Where reading begins.
        let start: Int64
        /// Records before it are not wanted; above `start` where the partition has not come so far.
        let first: Int64
        /// Behind the last record that is wanted; nil when there is none.
        let end: Int64?

        init(start: Int64, first: Int64? = nil, end: Int64?) {
            self.start = start
            self.first = first ?? start
            self.end = end
        }
    }

    private var open: [TopicPartition: Range] = [:]
    private let follows: Bool
    private let stopAtMs: Int64?
    /// The partition of the record before, and what is to be read of it; nil when nothing more is.
    private var current: (partition: TopicPartition, range: Range?)?
    private var closed: [TopicPartition] = []

    /// - Parameters:
    ///   - follows: whether to go on behind the ends.
    ///   - stopAtMs: a partition ends before its first record that is as old as this, or younger.
    init(_ ranges: [TopicPartition: Range], follows: Bool, stopAtMs: Int64?) {
        self.follows = follows
        self.stopAtMs = stopAtMs
        for (partition, range) in ranges { add(partition, range) }
    }

    mutating func add(_ partition: TopicPartition, _ range: Range) {
        if let end = range.end, range.start >= end { return }
        open[partition] = range
    }

    /// Whether nothing more is to be read.
    var isDone: Bool { open.isEmpty }
    var partitions: some Collection<TopicPartition> { open.keys }

    /// Notes a record that was read.
    ///
    /// - Returns: whether it is one of those that are wanted.
    mutating func take(_ record: borrowing some TailRecord) -> Bool {
        if current?.partition != record.topicPartition {
            current = (record.topicPartition, open[record.topicPartition])
        }
        guard let range = current?.range else { return false }
        let offset = record.offset
        if let end = range.end, offset >= end - 1 {
            close(record.topicPartition)
            if offset >= end { return false }
        }
        if let stopAtMs, let timestampMs = record.timestampMs, timestampMs >= stopAtMs {
            close(record.topicPartition)
            return false
        }
        return offset >= range.first
    }

    /// Notes that a partition has no more records now. Between its last record and a range's end there may be offsets
    /// without one.
    mutating func noteEnd(of partition: TopicPartition, at offset: Int64) {
        guard let range = open[partition] else { return }
        if !follows || range.end.map({ offset >= $0 }) ?? false { close(partition) }
    }

    private mutating func close(_ partition: TopicPartition) {
        if open.removeValue(forKey: partition) != nil { closed.append(partition) }
        if current?.partition == partition { current?.range = nil }
    }

    /// The partitions of which nothing more is wanted since the last call.
    mutating func takeClosed() -> [TopicPartition] {
        defer { closed = [] }
        return closed
    }
}

internal import StreamCore

/// The range to read of each partition, and the progress. A pure value.
struct TailProgress {
    /// The range to read of one partition.
    struct Range: Equatable {
        /// The offset at which reading begins.
        let start: Int64
        /// The first offset to show. It is above `start` if the partition does not reach it yet.
        let first: Int64
        /// The offset after the last record to show; nil for no end.
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
    /// The partition of the previous record, and its range; nil if nothing more is to be read of it.
    private var current: (partition: TopicPartition, range: Range?)?
    private var closed: [TopicPartition] = []

    /// - Parameters:
    ///   - ranges: the ranges to read.
    ///   - follows: whether to continue after the ends.
    ///   - stopAtMs: a partition ends before its first record with this timestamp or a later one, in milliseconds since
    ///     1970; nil for no limit.
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
    /// - Returns: whether to show the record.
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

    /// Notes that a partition has no more records now. There may be offsets without a record between its last record
    /// and the end of the range.
    mutating func noteEnd(of partition: TopicPartition, at offset: Int64) {
        guard let range = open[partition] else { return }
        if !follows || range.end.map({ offset >= $0 }) ?? false { close(partition) }
    }

    private mutating func close(_ partition: TopicPartition) {
        if open.removeValue(forKey: partition) != nil { closed.append(partition) }
        if current?.partition == partition { current?.range = nil }
    }

    /// The partitions that were finished since the last call.
    mutating func takeClosed() -> [TopicPartition] {
        defer { closed = [] }
        return closed
    }
}

internal import StreamCore

/// The last records of all partitions. They are ordered by time, but the order within a partition is kept.
struct LastRecords {
    private struct Entry {
        /// The latest timestamp of the partition up to this record, so that it never decreases within a partition.
        let timeMs: Int64
        let record: CopiedRecord
    }

    private let count: Int
    private var entries: [Entry] = []
    private var latestMs: [TopicPartition: Int64] = [:]
    /// The number of records that were noted, including those that are not kept.
    private(set) var noted = 0

    init(count: Int) {
        self.count = count
    }

    mutating func note(_ record: borrowing some TailRecord) {
        noted += 1
        let partition = record.topicPartition
        let timeMs = max(latestMs[partition] ?? .min, record.timestampMs ?? .min)
        latestMs[partition] = timeMs
        entries.append(Entry(timeMs: timeMs, record: CopiedRecord(copying: record)))
        if entries.count >= count * 2 + 1_000 { prune() }
    }

    /// The last records, the oldest first.
    mutating func take() -> [CopiedRecord] {
        prune()
        return entries.map(\.record)
    }

    private mutating func prune() {
        entries.sort { left, right in
            if left.timeMs != right.timeMs { return left.timeMs < right.timeMs }
            let (one, other) = (left.record, right.record)
            return (one.topicPartition, one.offset) < (other.topicPartition, other.offset)
        }
        entries.removeFirst(max(entries.count - count, 0))
    }
}

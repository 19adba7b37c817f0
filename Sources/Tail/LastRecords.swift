internal import StreamCore

/// The last of many records, over all partitions: by their times, but never against the order of a partition.
struct LastRecords {
    private struct Entry {
        /// The latest time of the partition up to this record: it cannot step back within a partition.
        let timeMs: Int64
        let record: CopiedRecord
    }

    private let count: Int
    private var entries: [Entry] = []
    private var latestMs: [TopicPartition: Int64] = [:]
    /// Records noted, also those that are not kept.
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

    /// Those that were noted last, the oldest first.
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

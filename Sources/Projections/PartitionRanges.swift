internal import StreamCore

/// Formats partitions for log lines: `order-events[0-23] payment-events[4,6]`.
enum PartitionRanges {
    static func text(_ partitions: some Sequence<TopicPartition>) -> String {
        text(partitions.map { ($0, nil) })
    }

    /// Formats offsets: `order-events[0-23]@0 payment-events[4]@17`.
    static func text(_ offsets: [TopicPartition: Int64]) -> String {
        text(offsets.map { ($0.key, $0.value) })
    }

    private static func text(_ entries: [(TopicPartition, Int64?)]) -> String {
        var runs: [(topic: String, numbers: ClosedRange<Int32>, offset: Int64?)] = []
        for (partition, offset) in entries.sorted(by: { $0.0 < $1.0 }) {
            if let last = runs.last, last.topic == partition.topic, last.offset == offset,
                last.numbers.upperBound + 1 == partition.partition
            {
                runs[runs.count - 1].numbers = last.numbers.lowerBound...partition.partition
            } else {
                runs.append((partition.topic, partition.partition...partition.partition, offset))
            }
        }
        var text = ""
        var index = 0
        while index < runs.count {
            let group = runs[index...].prefix { $0.topic == runs[index].topic && $0.offset == runs[index].offset }
            let numbers = group.map { run in
                let (first, last) = (run.numbers.lowerBound, run.numbers.upperBound)
                return first == last ? "\(first)" : "\(first)-\(last)"
            }
            if !text.isEmpty { text += " " }
            text += "\(runs[index].topic)[\(numbers.joined(separator: ","))]"
            if let offset = runs[index].offset { text += "@\(offset)" }
            index += group.count
        }
        return text
    }
}

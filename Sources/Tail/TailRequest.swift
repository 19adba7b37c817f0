/// What of which topics is to be shown.
public struct TailRequest: Sendable {
    public var topics: [TopicPattern]
    /// nil for all.
    public var partitions: Set<Int32>?
    /// Where each partition begins.
    public var from = TailPoint.beginning
    /// Before what each partition ends; nil for its end at this time, or for never when ``follows`` is set.
    public var to: TailPoint?
    /// Only the last so many, over all partitions.
    public var last: Int?
    /// At most so many.
    public var limit: Int?
    /// Whether to wait for more.
    public var follows = false
    public var filter = RecordFilter()

    public init(topics: [TopicPattern]) {
        self.topics = topics
    }

    /// Which partitions, of those of a cluster.
    func chosen<Partition>(
        from topics: [String: [Partition]], number: (Partition) -> Int32
    ) -> [Partition] {
        topics.filter { name, _ in self.topics.contains { $0.matches(name) } }.values.joined()
            .filter { partitions?.contains(number($0)) ?? true }
    }

    /// Records are at least as old as this where a time was given to begin at.
    var notBeforeMs: Int64? {
        if case .time(let time) = from { time } else { nil }
    }

    var stopAtMs: Int64? {
        if case .time(let time)? = to { time } else { nil }
    }
}

/// Why nothing can be shown.
public enum TailError: Error, CustomStringConvertible {
    /// No topic has this name; those that there are.
    case noTopic(String, known: [String])
    /// The topics have no such partitions.
    case noPartitions([Int32])

    public var description: String {
        switch self {
        case .noTopic(let text, let known):
            "topic \(text) does not exist. Topics: \(known.isEmpty ? "none" : known.joined(separator: ", "))"
        case .noPartitions(let numbers):
            "none of the topics has a partition \(numbers.map(String.init).joined(separator: ", "))"
        }
    }
}

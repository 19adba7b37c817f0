/// The records to show, and from which topics.
public struct TailRequest: Sendable {
    public var topics: [TopicPattern]
    /// Whether there must be a topic for each of ``topics``. Otherwise one for any of them is enough.
    public var needsEachTopic = true
    /// The partitions to show; nil for all.
    public var partitions: Set<Int32>?
    /// The position at which each partition begins.
    public var from = TailPoint.beginning
    /// The position before which each partition ends. If nil, it is the current end, or there is no end if ``follows``
    /// is set.
    public var to: TailPoint?
    /// Shows only the last records, this many of all partitions together; nil for all.
    public var last: Int?
    /// The maximum number of records to show; nil for no limit.
    public var limit: Int?
    /// Whether to wait for more records.
    public var follows = false
    public var filter = RecordFilter()

    public init(topics: [TopicPattern]) {
        self.topics = topics
    }

    /// The selected partitions among those of a cluster.
    func chosen<Partition>(
        from topics: [String: [Partition]], number: (Partition) -> Int32
    ) -> [Partition] {
        topics.filter { name, _ in self.topics.contains { $0.matches(name) } }.values.joined()
            .filter { partitions?.contains(number($0)) ?? true }
    }

    /// The minimum timestamp of records, if a start time was given.
    var notBeforeMs: Int64? {
        if case .time(let time) = from { time } else { nil }
    }

    var stopAtMs: Int64? {
        if case .time(let time)? = to { time } else { nil }
    }
}

/// Why nothing can be shown.
public enum TailError: Error, CustomStringConvertible {
    /// No topic has this name. `known` contains the existing topics.
    case noTopic(String, known: [String])
    /// The topics do not have these partitions.
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

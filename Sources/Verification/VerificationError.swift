/// Why a verification ends without a verdict.
public enum VerificationError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Topics of events do not exist.
    case noTopics([String])
    /// Kafka no longer has events that the projection has not applied.
    case eventsAreGone(projection: String, partition: String, next: Int64, oldest: Int64)
    /// Kafka deletes records faster than they are read, even those that the comparison with the write model needs.
    case topicIsGone(String)
    /// Kafka did not answer in time.
    case kafkaIsSilent(partition: String, milliseconds: Int)

    public var description: String {
        switch self {
        case .noTopics(let topics):
            "topic \(topics.joined(separator: ", ")) does not exist; check --topic-suffix, or compare only the tables "
                + "with --tables-only"
        case .eventsAreGone(let projection, let partition, let next, let oldest):
            "\(projection) has not applied \(partition) from offset \(next), but Kafka has only the records from \(oldest): "
                + "rebuild the read model"
        case .topicIsGone(let partition):
            "Kafka deletes the records of \(partition) faster than they are read; try again"
        case .kafkaIsSilent(let partition, let milliseconds):
            "no answer about \(partition) within \(milliseconds) ms; check that Kafka is running"
        }
    }
}

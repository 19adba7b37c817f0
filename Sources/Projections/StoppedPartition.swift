public import StreamCore

/// A partition that goes no further until an operator did something and the partition was assigned anew: at a restart,
/// or when another instance takes it. Its offset stays where it stopped, so nothing is lost by waiting.
public struct StoppedPartition: Sendable, Equatable {
    public enum Reason: Sendable, Equatable {
        /// The event at ``offset`` can never be applied.
        case failedEvent(Stage, EventFailure)
        /// Kafka no longer has the record at ``offset``: it deleted records that were not yet applied, or the topic
        /// was made anew. What it has is the offsets from `low` to before `high`.
        case truncatedHistory(low: Int64, high: Int64)
        /// Kafka has another record where the last one was that was applied: the topic was deleted and made again, or
        /// its log was replaced, so ``offset`` says nothing of what comes next. What Kafka has is the offsets from
        /// `low` to before `high`.
        case replacedTopic(low: Int64, high: Int64)
    }

    /// Where an event failed.
    public enum Stage: String, Sendable {
        /// In ``Projection/decode(_:)``.
        case decode
        /// In the transaction.
        case apply
    }

    public let partition: TopicPartition
    /// The offset that it stands at.
    public let offset: Int64
    public let reason: Reason

    public init(partition: TopicPartition, offset: Int64, reason: Reason) {
        self.partition = partition
        self.offset = offset
        self.reason = reason
    }

    /// For metrics and logs: the failure's class, `truncated_history` or `replaced_topic`.
    public var errorClass: String {
        switch reason {
        case .failedEvent(_, let failure): failure.errorClass
        case .truncatedHistory: "truncated_history"
        case .replacedTopic: "replaced_topic"
        }
    }
}

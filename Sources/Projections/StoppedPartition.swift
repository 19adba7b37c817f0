public import StreamCore

/// A partition that stopped. It continues after an operator has corrected the cause and the partition is assigned
/// again, at a restart or to another instance. Its offset does not change, so no event is lost.
public struct StoppedPartition: Sendable, Equatable {
    public enum Reason: Sendable, Equatable {
        /// The event at ``offset`` can never be applied.
        case failedEvent(Stage, EventFailure)
        /// Kafka no longer has the record at ``offset``. It deleted records before they were applied, or the topic was
        /// created again. Kafka has the offsets from `low` to before `high`.
        case truncatedHistory(low: Int64, high: Int64)
        /// Kafka has another record at the position of the last applied one. The topic was deleted and created again,
        /// or its log was replaced, so ``offset`` has no meaning there. Kafka has the offsets from `low` to before
        /// `high`.
        case replacedTopic(low: Int64, high: Int64)
    }

    /// The step in which an event failed.
    public enum Stage: String, Sendable {
        /// In ``Projection/decode(_:)``.
        case decode
        /// In the transaction.
        case apply
    }

    public let partition: TopicPartition
    /// The offset at which the partition stopped.
    public let offset: Int64
    public let reason: Reason

    public init(partition: TopicPartition, offset: Int64, reason: Reason) {
        self.partition = partition
        self.offset = offset
        self.reason = reason
    }

    /// The class for metrics and logs: the failure's class, `truncated_history` or `replaced_topic`.
    public var errorClass: String {
        switch reason {
        case .failedEvent(_, let failure): failure.errorClass
        case .truncatedHistory: "truncated_history"
        case .replacedTopic: "replaced_topic"
        }
    }
}

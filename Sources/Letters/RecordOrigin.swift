public import StreamCore

/// The original position of a record.
public struct RecordOrigin: Hashable, Sendable {
    public let partition: TopicPartition
    public let offset: Int64
    /// The timestamp of the record, in milliseconds since 1970; nil if unknown. If a topic was deleted and created
    /// again, another record may have the same offset.
    public var timestampMs: Int64?

    public init(partition: TopicPartition, offset: Int64, timestampMs: Int64? = nil) {
        self.partition = partition
        self.offset = offset
        self.timestampMs = timestampMs
    }

    /// Whether both may be the same record.
    public func isSame(as other: RecordOrigin) -> Bool {
        partition == other.partition && offset == other.offset
            && (timestampMs == nil || other.timestampMs == nil || timestampMs == other.timestampMs)
    }
}

extension RecordOrigin {
    /// - Returns: nil unless the headers contain topic, partition and offset.
    init?(_ headers: LetterHeaders) {
        guard let topic = headers.topic("\(LetterHeader.topic)"),
            let partition = headers.smallNumber("\(LetterHeader.partition)"),
            let offset = headers.number("\(LetterHeader.offset)")
        else { return nil }
        self.init(
            partition: TopicPartition(topic: topic, partition: partition), offset: offset,
            timestampMs: headers.number("\(LetterHeader.originTimestamp)"))
    }

    /// The headers of this position.
    var fields: [LetterField] {
        [
            LetterField(LetterHeader.topic, partition.topic),
            LetterField(LetterHeader.partition, String(partition.partition)),
            LetterField(LetterHeader.offset, String(offset)),
        ]
    }
}

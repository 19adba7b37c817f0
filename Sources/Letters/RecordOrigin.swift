public import StreamCore

/// Where a record was first.
public struct RecordOrigin: Hashable, Sendable {
    public let partition: TopicPartition
    public let offset: Int64
    /// When the record was written, in milliseconds since 1970: a topic that was deleted and made again has another
    /// record at the same offset. nil where it is not known.
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
    /// - Returns: nil unless the headers say all of topic, partition and offset.
    init?(_ headers: LetterHeaders) {
        guard let topic = headers.topic("\(LetterHeader.topic)"),
            let partition = headers.smallNumber("\(LetterHeader.partition)"),
            let offset = headers.number("\(LetterHeader.offset)")
        else { return nil }
        self.init(
            partition: TopicPartition(topic: topic, partition: partition), offset: offset,
            timestampMs: headers.number("\(LetterHeader.originTimestamp)"))
    }

    /// The headers that say it.
    var fields: [LetterField] {
        [
            LetterField(LetterHeader.topic, partition.topic),
            LetterField(LetterHeader.partition, String(partition.partition)),
            LetterField(LetterHeader.offset, String(offset)),
        ]
    }
}

internal import Kafka

/// What was found where a partition's marked record should be.
enum Continuity: Sendable, Equatable {
    /// The marked record.
    case same
    /// Another record at its offset.
    case otherRecord(RecordMark)
    /// A record behind it, or the partition's end.
    case noRecord(RecordMark)

    /// - Parameter found: the first record from the mark's offset on.
    init(_ mark: RecordMark, found: RecordView) {
        if found.offset != mark.offset {
            self = .noRecord(mark)
        } else {
            self = RecordMark(found) == mark ? .same : .otherRecord(mark)
        }
    }
}

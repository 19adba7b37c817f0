internal import Kafka

/// The result of looking for a partition's marked record.
enum Continuity: Sendable, Equatable {
    /// The marked record is there.
    case same
    /// Another record has its offset.
    case otherRecord(RecordMark)
    /// There is no record at its offset.
    case noRecord(RecordMark)

    /// - Parameters:
    ///   - mark: the mark.
    ///   - found: the first record at or after the mark's offset.
    init(_ mark: RecordMark, found: RecordView) {
        if found.offset != mark.offset {
            self = .noRecord(mark)
        } else {
            self = RecordMark(found) == mark ? .same : .otherRecord(mark)
        }
    }
}

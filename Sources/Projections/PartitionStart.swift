/// Why a partition cannot simply go on from where PostgreSQL says.
enum PartitionDoubt: Sendable, Equatable {
    /// Kafka does not have the offset that was asked for.
    case outOfRange
    /// At the offset of the mark is another record than the one that was passed there.
    case otherRecord(RecordMark)
    /// At the offset of the mark is no record, though there are records behind it, or the partition's end.
    case noRecord(RecordMark)
}

/// What Kafka says of a partition that is in doubt.
struct PartitionFindings: Sendable, Equatable {
    /// The oldest offset that it has.
    let low: Int64
    /// Where the partition ends.
    let high: Int64
    /// Whether records may be missing because newer ones of their keys replaced them; nil when the broker does not say.
    var isCompacted: Bool?
}

/// What PostgreSQL has of a partition.
struct StoredPosition: Sendable, Equatable {
    var next: Int64
    /// The last record passed, below `next`; nil when it is not known.
    var mark: RecordMark?
}

/// Where a partition begins, as a pure function of what PostgreSQL and Kafka say.
///
/// Reading begins at the marked record, which must be the one that was passed there; then what follows is what was not
/// applied yet. When that record is not found, Kafka is asked for more:
///
/// - Below the oldest offset that Kafka has, retention deleted it. A topic made anew begins at offset 0, so this one is
///   taken for the same. (One that was made anew and has itself lost its beginning up to here is not told from it.)
/// - In a compacted topic, a newer record of its key replaced it: the same.
/// - Else it is another topic: a record that was passed was committed, and only these two remove a committed record.
enum PartitionStart: Sendable, Equatable {
    /// Go on from the next offset, once the mark was found.
    case verifying(RecordMark)
    /// Go on from the next offset. There is no mark, or Kafka has deleted the record in an ordinary way.
    case unverified
    /// Kafka has deleted what comes next, or never had it.
    case truncated
    /// The topic was deleted and made again, or its log is another one.
    case replaced

    init(_ stored: StoredPosition, doubt: PartitionDoubt?, findings: PartitionFindings?) {
        guard let doubt, let findings else {
            self = stored.mark.map { .verifying($0) } ?? .unverified
            return
        }
        switch doubt {
        // Only if no other process has moved the offset. Otherwise there is a new mark, which was not checked.
        case .otherRecord(let mark) where mark == stored.mark:
            self = .replaced
        case _ where stored.next < findings.low || stored.next > findings.high:
            self = .truncated
        case .noRecord(let mark) where mark == stored.mark:
            self = mark.offset < findings.low || findings.isCompacted == true ? .unverified : .replaced
        case .outOfRange, .otherRecord, .noRecord:
            guard let mark = stored.mark else {
                self = .unverified
                return
            }
            self = mark.offset < findings.low ? .unverified : .verifying(mark)
        }
    }
}

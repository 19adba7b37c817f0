/// Why a partition cannot simply continue at the offset in PostgreSQL.
enum PartitionDoubt: Sendable, Equatable {
    /// Kafka does not have the requested offset.
    case outOfRange
    /// The offset of the mark has another record than the one that was passed there.
    case otherRecord(RecordMark)
    /// The offset of the mark has no record, but there are later records, or it is the end of the partition.
    case noRecord(RecordMark)
}

/// Kafka's answers about a partition whose position is in doubt.
struct PartitionFindings: Sendable, Equatable {
    /// The offset of the oldest record.
    let low: Int64
    /// The offset after the last record.
    let high: Int64
    /// Whether the topic is compacted, so that newer records may have replaced older ones of their keys; nil if the
    /// broker does not say.
    var isCompacted: Bool?
}

/// The position of a partition in PostgreSQL.
struct StoredPosition: Sendable, Equatable {
    var next: Int64
    /// The mark of the last record passed, below `next`; nil if it is unknown.
    var mark: RecordMark?
}

/// The decision how a partition starts. A pure function of the answers of PostgreSQL and Kafka.
///
/// Reading begins at the marked record. It must be the record that was passed there. The records after it have not been
/// applied yet. If the record is not found, Kafka is asked for more:
///
/// - If the mark is below the oldest offset that Kafka has, retention deleted the record. A topic that was created
///   again begins at offset 0, so this is taken for the same topic. (A topic that was created again and has already
///   lost its records up to here is not detected.)
/// - In a compacted topic, a newer record of the key replaced it. This is the same topic too.
/// - Otherwise it is another topic. A record that was passed was committed, and only retention and compaction remove a
///   committed record.
enum PartitionStart: Sendable, Equatable {
    /// Continue at the next offset after the mark is found.
    case verifying(RecordMark)
    /// Continue at the next offset. There is no mark, or Kafka deleted the record by retention or compaction.
    case unverified
    /// Kafka has deleted the next records, or never had them.
    case truncated
    /// The topic was deleted and created again, or it has another log.
    case replaced

    init(_ stored: StoredPosition, doubt: PartitionDoubt?, findings: PartitionFindings?) {
        guard let doubt, let findings else {
            self = stored.mark.map { .verifying($0) } ?? .unverified
            return
        }
        switch doubt {
        // This holds only if no other process has moved the offset. Otherwise there is a new mark, which was not
        // checked.
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

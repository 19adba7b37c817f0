/// Estimates how long the oldest unapplied record of a partition has waited. Records that the runner has taken have a
/// timestamp. For other records the time counts from when the runner learned of them.
struct PartitionLag: Sendable, Equatable {
    /// The part of one batch that comes from the partition.
    private struct Taken: Equatable {
        /// The offset after the last record.
        let end: Int64
        /// The timestamp of the first record, in milliseconds since 1970.
        let oldestMs: Int64
    }

    /// The maximum number of entries. A batch that is read again after a failure adds an entry, and older entries are
    /// then useless.
    private static let mostTaken = 8

    private var taken: [Taken] = []
    private var waitingSinceMs: Int64?

    /// Reports that a batch contains records of the partition.
    ///
    /// - Parameters:
    ///   - end: the offset after the last of them.
    ///   - oldestMs: the timestamp of the first of them, in milliseconds since 1970.
    mutating func took(upTo end: Int64, oldestMs: Int64) {
        if taken.count == Self.mostTaken { taken.removeFirst() }
        taken.append(Taken(end: end, oldestMs: oldestMs))
        waitingSinceMs = oldestMs
    }

    /// The age of the oldest unapplied record.
    ///
    /// - Parameters:
    ///   - next: the next offset to apply.
    ///   - end: the offset after the partition's last record.
    ///   - nowMs: the current time, in milliseconds since 1970.
    /// - Returns: seconds; 0 if every record is applied.
    mutating func seconds(next: Int64, end: Int64, nowMs: Int64) -> Double {
        taken.removeAll { $0.end <= next }
        guard next < end else {
            waitingSinceMs = nil
            return 0
        }
        let since = taken.first?.oldestMs ?? waitingSinceMs ?? nowMs
        waitingSinceMs = since
        return Double(max(0, nowMs - since)) / 1_000
    }
}

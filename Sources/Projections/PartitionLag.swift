/// How long the oldest record of a partition that is not applied has waited, as far as the runner knows it: the
/// records that it has taken tell when they were written, and for others it counts from when it learned of them.
struct PartitionLag: Sendable, Equatable {
    /// One batch's part of the partition.
    private struct Taken: Equatable {
        /// The offset after its last record.
        let end: Int64
        /// When its first record was written, in milliseconds since 1970.
        let oldestMs: Int64
    }

    /// Batches that are read again after a failure are noted again; older notes are then of no use.
    private static let mostTaken = 8

    private var taken: [Taken] = []
    private var waitingSinceMs: Int64?

    /// A batch has records of the partition.
    ///
    /// - Parameter oldestMs: when the first of them was written, in milliseconds since 1970.
    mutating func took(upTo end: Int64, oldestMs: Int64) {
        if taken.count == Self.mostTaken { taken.removeFirst() }
        taken.append(Taken(end: end, oldestMs: oldestMs))
        waitingSinceMs = oldestMs
    }

    /// - Parameters:
    ///   - next: the next offset to apply.
    ///   - end: the offset after the partition's last record.
    ///   - nowMs: the time, in milliseconds since 1970.
    /// - Returns: 0 when every record is applied.
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

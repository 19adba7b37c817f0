internal import Kafka
internal import StreamCore

/// Determines which records are read, and what the read models are compared with.
struct ReplayPlan: Sendable {
    let standard: OrderComparer.Standard
    let method: Verdict.Method
    /// The ends of the partitions before the write model's snapshot.
    let marker: [TopicPartition: Int64]
    let ranges: [TopicPartition: Range<Int64>]
    /// Records of or after an open transaction. Consumers cannot read them yet, but the write model may count their
    /// events.
    private let hidden: [TopicPartition: Range<Int64>]

    var recordCount: Int64 { ranges.values.reduce(0) { $0 + Int64($1.count) } }

    /// - Parameters:
    ///   - before: the watermarks before the write model's snapshot.
    ///   - after: the watermarks after the read models' snapshot, and the records that cannot be read.
    ///   - snapshot: the positions of the projections.
    ///   - incompleteHistory: why the topics do not contain all events; nil if they may.
    /// - Throws: ``VerificationError`` if Kafka no longer has events that a projection still has to apply.
    init(
        _ before: [TopicPartition: Watermarks],
        _ after: (watermarks: [TopicPartition: Watermarks], hidden: [TopicPartition: Range<Int64>]),
        _ snapshot: ReadSnapshot, _ incompleteHistory: String?
    ) throws {
        hidden = after.hidden
        let after = after.watermarks
        let cut = after.filter { $0.value.low > 0 }.min { $0.key < $1.key }
        let reason =
            incompleteHistory
            ?? cut.map { "Kafka no longer has the beginning of \($0.key); it begins at offset \($0.value.low)" }
        marker = before.mapValues(\.high)
        if let reason {
            standard = .writeModel
            method = .writeModel(because: reason)
        } else {
            standard = .events
            method = .events
        }
        var ranges: [TopicPartition: Range<Int64>] = [:]
        for (partition, watermarks) in after {
            guard reason != nil else {
                ranges[partition] = 0..<watermarks.high
                continue
            }
            var start = before[partition]?.high ?? watermarks.low
            for projection in snapshot.cuts {
                let next = projection.nextOffsets[partition] ?? watermarks.low
                if next < watermarks.low {
                    throw VerificationError.eventsAreGone(
                        projection: projection.name, partition: "\(partition)", next: next, oldest: watermarks.low)
                }
                start = min(start, next)
            }
            ranges[partition] = min(start, watermarks.high)..<watermarks.high
        }
        self.ranges = ranges
    }

    /// The result of comparing the write model with the topics. While records are hidden, a missing event may be among
    /// them, so differences are not conclusive.
    func judged(_ comparison: Verdict.Comparison) -> Verdict.Comparison {
        guard comparison.differing > 0, let hiding else { return comparison }
        return comparison.leavingOpen(
            "\(comparison.differing) orders differ, and \(hiding), which may be the reason; verify again when it has ended"
        )
    }

    /// The result of comparing a read model. A comparison with the write model is inconclusive while records are
    /// hidden, or if operators retried or discarded parked events, because these may explain the differences.
    func judged(_ comparison: Verdict.Comparison, by cut: ProjectionCut) -> Verdict.Comparison {
        guard standard == .writeModel, comparison.differing > 0 else { return comparison }
        if let hiding {
            return comparison.leavingOpen(
                "\(comparison.differing) rows differ, and \(hiding), which may be the reason; verify again when it has ended"
            )
        }
        let unclear = cut.parkedWithoutKey + cut.retried.count
        if unclear == 0 { return comparison }
        return comparison.leavingOpen(
            "\(comparison.differing) rows differ, and \(unclear) events were parked, retried or discarded, which may be "
                + "the reason; the write model has no history")
    }

    /// Why the dashboard cannot be compared; nil if it can.
    func reasonAgainstDashboard(_ comparer: OrderComparer, _ cut: ProjectionCut) -> String? {
        guard standard == .writeModel else { return nil }
        if !cut.parked.isEmpty {
            return "\(cut.parked.count) events are parked, and Kafka no longer has all other events"
        }
        if comparer.uncountable > 0 {
            return "\(comparer.uncountable) orders have events in transit; use --wait, or a longer time"
        }
        return nil
    }

    /// Describes what an open transaction hides; nil if there is none.
    private var hiding: String? {
        guard let first = hidden.keys.min(), let range = hidden[first] else { return nil }
        let others = hidden.count > 1 ? " and of \(hidden.count - 1) more partitions" : ""
        return "an open transaction hides the records of \(first) from offset \(range.lowerBound) to "
            + "\(range.upperBound - 1)\(others)"
    }
}

extension Verdict.Comparison {
    /// The comparison with its differences counted as undecided.
    fileprivate func leavingOpen(_ reason: String) -> Verdict.Comparison {
        var open = self
        open.undecided = reason
        open.leftOut += open.differing
        open.differing = 0
        return open
    }
}

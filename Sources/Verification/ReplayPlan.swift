internal import Kafka
internal import StreamCore

/// Which records are read, and what the read models are compared with.
struct ReplayPlan: Sendable {
    let standard: OrderComparer.Standard
    let method: Verdict.Method
    /// The ends of the partitions before the write model's snapshot.
    let marker: [TopicPartition: Int64]
    let ranges: [TopicPartition: Range<Int64>]
    /// Records behind an open transaction, which consumers cannot read yet. The write model may count their events.
    private let hidden: [TopicPartition: Range<Int64>]

    var recordCount: Int64 { ranges.values.reduce(0) { $0 + Int64($1.count) } }

    /// - Parameters:
    ///   - before: from before the write model's snapshot.
    ///   - after: from after the read models' snapshot, with the records that cannot be read.
    ///   - incompleteHistory: why the topics are known not to hold everything.
    /// - Throws: ``VerificationError`` when Kafka no longer has events that a projection has yet to apply.
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

    /// A comparison of the write model with the topics: while records are hidden, an event that is not found may be
    /// among them.
    func judged(_ comparison: Verdict.Comparison) -> Verdict.Comparison {
        guard comparison.differing > 0, let hiding else { return comparison }
        return comparison.leavingOpen(
            "\(comparison.differing) orders differ, and \(hiding), which may be the reason; verify again when it has ended"
        )
    }

    /// A comparison of a read model. With the write model it says nothing while records are hidden, nor of what
    /// operators did with parked events: while that may be the reason of a difference, there is no verdict.
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

    /// Why the dashboard cannot be compared; nil when it can.
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

    /// What an open transaction hides; nil without one.
    private var hiding: String? {
        guard let first = hidden.keys.min(), let range = hidden[first] else { return nil }
        let others = hidden.count > 1 ? " and of \(hidden.count - 1) more partitions" : ""
        return "an open transaction hides the records of \(first) from offset \(range.lowerBound) to "
            + "\(range.upperBound - 1)\(others)"
    }
}

extension Verdict.Comparison {
    /// The same without a verdict on what differs.
    fileprivate func leavingOpen(_ reason: String) -> Verdict.Comparison {
        var open = self
        open.undecided = reason
        open.leftOut += open.differing
        open.differing = 0
        return open
    }
}

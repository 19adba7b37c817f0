internal import StreamCore

/// The failure counts of one partition, which decide when its circuit breaker opens.
///
/// There are two kinds of counts. For each error class and event type, it counts the events that were parked since an
/// event of that type was applied; the success of another type does not matter. And it counts all events that were
/// parked in a row, with no event applied in between. This run includes events of unknown type and events that are
/// parked only because they are blocked by another one.
struct FailureCounts: Sendable, Equatable {
    /// The error class and event type of a count.
    struct Kind: Hashable, Sendable, Comparable {
        let errorClass: String
        let eventType: String

        /// The count of all events that were parked in a row.
        static let run = Kind(errorClass: "", eventType: "")

        /// Whether the success of an event of this type ends the count.
        func isReset(by type: String) -> Bool { eventType.isEmpty || eventType == type }

        static func < (left: Kind, right: Kind) -> Bool {
            (left.eventType, left.errorClass) < (right.eventType, right.errorClass)
        }
    }

    struct Count: Sendable, Equatable {
        var failures: Int
        var isOpen: Bool
    }

    /// The maximum number of kinds that are counted separately in one partition. Further kinds count only in the run.
    /// The types come from records, so their number is not limited otherwise.
    static let kindLimit = 100

    private(set) var counts: [Kind: Count] = [:]

    var isEmpty: Bool { counts.isEmpty }

    /// The kinds whose limit is reached, in order.
    var open: [Kind] { counts.filter(\.value.isOpen).keys.sorted() }

    subscript(kind: Kind) -> Count? {
        get { counts[kind] }
        set { counts[kind] = newValue }
    }
}

/// Counts the events that a slice parks and applies, in the order of its items. A pure value.
struct FailureTally: Sendable {
    /// The change of a stored count.
    struct Change: Sendable, Equatable {
        var added = 0
        /// Whether the stored count is deleted first.
        var isReset = false
    }

    /// The count at which a circuit breaker opens; 0 for never.
    let limit: Int
    private(set) var counts: [TopicPartition: FailureCounts]
    private(set) var changes: [TopicPartition: [FailureCounts.Kind: Change]] = [:]

    init(_ counts: [TopicPartition: FailureCounts], limit: Int) {
        self.counts = limit > 0 ? counts : [:]
        self.limit = limit
    }

    /// Whether there is nothing to write.
    var isUnchanged: Bool { changes.isEmpty }

    /// Counts an event that was applied for the first time.
    mutating func applied(_ eventType: String, in partition: TopicPartition) {
        guard let known = counts[partition], !known.isEmpty else { return }
        for kind in known.counts.keys where kind.isReset(by: eventType) {
            counts[partition]?[kind] = nil
            changes[partition, default: [:]][kind] = Change(added: 0, isReset: true)
        }
    }

    /// Counts an event that was parked because it failed.
    ///
    /// - Parameter eventType: the event's type; empty if it is unknown.
    mutating func failed(_ errorClass: String, _ eventType: String, in partition: TopicPartition) {
        guard limit > 0 else { return }
        add(to: .run, in: partition)
        guard !eventType.isEmpty else { return }
        let kind = FailureCounts.Kind(errorClass: errorClass, eventType: eventType)
        let known = counts[partition]
        guard known?[kind] != nil || (known?.counts.count ?? 0) < FailureCounts.kindLimit else { return }
        add(to: kind, in: partition)
    }

    /// Counts an event that was parked because an earlier event of its key is parked.
    ///
    /// Such events count from the second failure on. If a release fails on every event, most events are soon blocked by
    /// another one. But if only one key has failed, and only events of that key arrive, nothing is wrong with the
    /// release.
    mutating func blocked(in partition: TopicPartition) {
        guard limit > 0, isOpen(partition) || counts[partition]?[.run]?.failures ?? 0 >= 2 else { return }
        add(to: .run, in: partition)
    }

    /// The data of an item that counting needs.
    struct Subject: Sendable {
        let item: Int
        let part: Int
        let partition: TopicPartition
        let verdict: ParkingPlan.Verdict
        /// Whether the item was applied for the first time.
        let isApplied: Bool
        var errorClass = ""
        let eventType: String
    }

    /// Counts one item. Retries do not count, because they are older events that an operator selected.
    ///
    /// - Returns: whether the item is parked and counted.
    @discardableResult
    mutating func count(_ subject: Subject) -> Bool {
        switch subject.verdict {
        case .apply:
            if subject.isApplied { applied(subject.eventType, in: subject.partition) }
            return false
        case .parkFailed:
            failed(subject.errorClass, subject.eventType, in: subject.partition)
            return true
        case .parkBlocked:
            blocked(in: subject.partition)
            return true
        case .resolve, .appliedBefore, .failAgain, .blockAgain, .discard, .discardNothing, .discardedSince, .outdated,
            .tooEarly:
            return false
        }
    }

    /// Counts a slice.
    ///
    /// - Returns: for each part that must end early, the first item after the last one that may be parked.
    mutating func cuts(_ subjects: [Subject]) -> [Int: Int] {
        var full: Set<Int> = []
        var cuts: [Int: Int] = [:]
        for subject in subjects {
            if full.contains(subject.part) {
                if cuts[subject.part] == nil { cuts[subject.part] = subject.item }
            } else if count(subject), isOpen(subject.partition) {
                full.insert(subject.part)
            }
        }
        return cuts
    }

    private mutating func add(to kind: FailureCounts.Kind, in partition: TopicPartition) {
        var count = counts[partition]?[kind] ?? FailureCounts.Count(failures: 0, isOpen: false)
        count.failures += 1
        if count.failures >= limit { count.isOpen = true }
        counts[partition, default: FailureCounts()][kind] = count
        changes[partition, default: [:]][kind, default: Change()].added += 1
    }

    /// Whether no more events of the partition may be parked.
    func isOpen(_ partition: TopicPartition) -> Bool {
        counts[partition]?.counts.values.contains(where: \.isOpen) ?? false
    }

    /// Stores the count that the database has after the changes.
    mutating func stored(_ count: FailureCounts.Count, _ kind: FailureCounts.Kind, in partition: TopicPartition) {
        counts[partition, default: FailureCounts()][kind] = count
    }
}

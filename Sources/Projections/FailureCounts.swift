internal import StreamCore

/// What the circuit breaker of one partition goes by: events that were parked with none applied since.
///
/// Two things are counted. For each error class and event type, the events parked since one of that type was applied:
/// the success of another type says nothing of it. And whatever was parked one after the other, with nothing applied in
/// between: that covers events of unknown type, and events that are parked only because they stand behind another.
struct FailureCounts: Sendable, Equatable {
    /// What is counted together.
    struct Kind: Hashable, Sendable, Comparable {
        let errorClass: String
        let eventType: String

        /// Whatever was parked one after the other.
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

    /// Kinds of one partition that are counted by themselves; more are only counted in the run. The types come from
    /// records, and could be any number.
    static let kindLimit = 100

    private(set) var counts: [Kind: Count] = [:]

    var isEmpty: Bool { counts.isEmpty }

    /// The kinds whose limit was reached, in order.
    var open: [Kind] { counts.filter(\.value.isOpen).keys.sorted() }

    subscript(kind: Kind) -> Count? {
        get { counts[kind] }
        set { counts[kind] = newValue }
    }
}

/// Counts what a slice parks and applies, in the order of its items: a pure value.
struct FailureTally: Sendable {
    /// How a stored count changes.
    struct Change: Sendable, Equatable {
        var added = 0
        /// What was stored before is of no matter.
        var isReset = false
    }

    /// The count at which a circuit breaker opens; 0: never.
    let limit: Int
    private(set) var counts: [TopicPartition: FailureCounts]
    private(set) var changes: [TopicPartition: [FailureCounts.Kind: Change]] = [:]

    init(_ counts: [TopicPartition: FailureCounts], limit: Int) {
        self.counts = limit > 0 ? counts : [:]
        self.limit = limit
    }

    /// Nothing is to be written.
    var isUnchanged: Bool { changes.isEmpty }

    /// An event was applied for the first time.
    mutating func applied(_ eventType: String, in partition: TopicPartition) {
        guard let known = counts[partition], !known.isEmpty else { return }
        for kind in known.counts.keys where kind.isReset(by: eventType) {
            counts[partition]?[kind] = nil
            changes[partition, default: [:]][kind] = Change(added: 0, isReset: true)
        }
    }

    /// An event was parked as it fails.
    ///
    /// - Parameter eventType: empty where it is not known.
    mutating func failed(_ errorClass: String, _ eventType: String, in partition: TopicPartition) {
        guard limit > 0 else { return }
        add(to: .run, in: partition)
        guard !eventType.isEmpty else { return }
        let kind = FailureCounts.Kind(errorClass: errorClass, eventType: eventType)
        let known = counts[partition]
        guard known?[kind] != nil || (known?.counts.count ?? 0) < FailureCounts.kindLimit else { return }
        add(to: kind, in: partition)
    }

    /// An event was parked as an earlier one of its key is.
    ///
    /// It counts from the second failure on: when a release fails every event, most of them are soon behind another
    /// one. When one key alone has failed, and nothing but that key comes, nothing is wrong with the release.
    mutating func blocked(in partition: TopicPartition) {
        guard limit > 0, isOpen(partition) || counts[partition]?[.run]?.failures ?? 0 >= 2 else { return }
        add(to: .run, in: partition)
    }

    /// An item of a slice as far as counting goes.
    struct Subject: Sendable {
        let item: Int
        let part: Int
        let partition: TopicPartition
        let verdict: ParkingPlan.Verdict
        /// For the first time.
        let isApplied: Bool
        var errorClass = ""
        let eventType: String
    }

    /// Retries count for nothing: they are of a time before, and of an operator's choice.
    ///
    /// - Returns: whether the item is parked.
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

    /// Counts a slice, and says where parts of it must end: before the first item behind the last one that may be
    /// parked.
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

    /// Nothing more of the partition may be parked.
    func isOpen(_ partition: TopicPartition) -> Bool {
        counts[partition]?.counts.values.contains(where: \.isOpen) ?? false
    }

    /// What the database has of a count after the changes.
    mutating func stored(_ count: FailureCounts.Count, _ kind: FailureCounts.Kind, in partition: TopicPartition) {
        counts[partition, default: FailureCounts()][kind] = count
    }
}

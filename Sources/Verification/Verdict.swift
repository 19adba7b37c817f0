/// The result of a verification.
public struct Verdict: Hashable, Sendable {
    public enum Decision: Hashable, Sendable {
        /// Everything that could be compared is equal. Only events in transit or parked were left out.
        case equal
        case different
        /// No difference was found, but something could not be compared; ``Comparison/undecided`` says why.
        case undecided
    }

    /// What the read models were compared with.
    public enum Method: Hashable, Sendable {
        /// The topics' events from the beginning up to the read models' offsets. The write model was compared with the
        /// topics.
        case events
        /// The write model, and the topics' events since its snapshot.
        case writeModel(because: String)
        /// Only the write model's tables.
        case tables
    }

    /// A single difference.
    public struct Difference: Hashable, Sendable {
        public enum Problem: Hashable, Sendable {
            /// The row is missing.
            case missing
            /// The row should not exist.
            case unexpected
            /// A column has another value than expected; nil stands for NULL.
            case column(String, expected: String?, actual: String?)
            /// The event is neither in its topic nor in the outbox.
            case lostEvent(String)
            /// The topic has an event that the write model does not know.
            case unknownEvent(String)
            /// A record below the projection's offsets cannot be decoded and is not parked.
            case unreadable(String)
            /// A record below the projection's offsets is not parked, and cannot be applied again.
            case notApplicable(String)
        }

        /// The order, or the key of the row.
        public let subject: String
        public let problem: Problem

        public init(subject: String, problem: Problem) {
            self.subject = subject
            self.problem = problem
        }
    }

    /// The result for one table or view.
    public struct Comparison: Hashable, Sendable {
        public let name: String
        /// The number of rows or orders that were compared.
        public var checked = 0
        /// The number of those that differ.
        public var differing = 0
        /// The number of orders that were not compared, because some of their events are in transit or parked.
        public var leftOut = 0
        /// The first differences, at most as many as the configured limit.
        public var differences: [Difference] = []
        /// Why there is no verdict; nil if there is one.
        public var undecided: String?

        public init(name: String) {
            self.name = name
        }

        /// Counts one row or order with its problems. It is equal if `problems` is empty.
        mutating func note(_ subject: String, _ problems: [Difference.Problem], limit: Int) {
            checked += 1
            guard !problems.isEmpty else { return }
            differing += 1
            for problem in problems.prefix(max(0, limit - differences.count)) {
                differences.append(Difference(subject: subject, problem: problem))
            }
        }
    }

    /// Where the events are that were committed before the verification began and are not in a read model yet.
    public struct UnderWay: Hashable, Sendable {
        /// The events that one projection has not applied.
        public struct Projection: Hashable, Sendable {
            public let name: String
            /// The number of events in Kafka that are not applied yet.
            public let waiting: Int
            /// The number of events that are dead letters, or wait behind one.
            public let parked: Int
            /// The number of events that an operator discarded.
            public let discarded: Int
        }

        /// Whether the write model's database has an outbox that was counted.
        public internal(set) var hasOutbox = true
        /// The number of unpublished rows in the outbox.
        public internal(set) var unpublished = 0
        /// The number of rows in `outbox_failed`. Only an operator can have them published.
        public internal(set) var setAside = 0
        public internal(set) var projections: [Projection] = []

        /// Whether no event is in transit or parked. Discarded events do not count.
        public var isNothing: Bool {
            unpublished == 0 && setAside == 0 && projections.allSatisfy { $0.waiting == 0 && $0.parked == 0 }
        }
    }

    public internal(set) var method: Method
    public internal(set) var underWay = UnderWay()
    public internal(set) var comparisons: [Comparison] = []

    /// The verdict reduced to the tables or views of one read model.
    public func only(ofReadModel name: String) -> Verdict {
        var verdict = self
        let prefix = name.replacing("-", with: "_")
        verdict.comparisons.removeAll { !$0.name.hasPrefix(prefix) }
        return verdict
    }

    /// Adds further comparisons to the verdict.
    public func with(_ more: [Comparison]) -> Verdict {
        var verdict = self
        verdict.comparisons += more
        return verdict
    }

    public var decision: Decision {
        if comparisons.contains(where: { $0.differing > 0 }) { return .different }
        return comparisons.contains { $0.undecided != nil } ? .undecided : .equal
    }

    public var isEqual: Bool { decision == .equal }

    /// The result for one table or view; nil if it was not compared.
    public subscript(name: String) -> Comparison? { comparisons.first { $0.name == name } }
}

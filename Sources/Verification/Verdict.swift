/// What a verification found.
public struct Verdict: Hashable, Sendable {
    public enum Decision: Hashable, Sendable {
        /// All that could be compared is equal, and all was compared but what is under way or parked.
        case equal
        case different
        /// Nothing differs, but something could not be compared; ``Comparison/undecided`` says why.
        case undecided
    }

    /// What the read models were compared with.
    public enum Method: Hashable, Sendable {
        /// With the topics' events from the beginning up to the read models' own offsets; and the write model with the
        /// topics.
        case events
        /// With the write model, and the topics' events since.
        case writeModel(because: String)
        /// With the write model alone.
        case tables
    }

    /// One thing that is not as it should be.
    public struct Difference: Hashable, Sendable {
        public enum Problem: Hashable, Sendable {
            /// The row should be there, and is not.
            case missing
            /// The row is there, and should not be.
            case unexpected
            /// A column says something else; nil is NULL.
            case column(String, expected: String?, actual: String?)
            /// The event is neither in its topic nor in the outbox.
            case lostEvent(String)
            /// The topic has an event that the write model does not know.
            case unknownEvent(String)
            /// A record below the projection's offsets can be no event of it, and is not parked.
            case unreadable(String)
        }

        /// The order, or the row's key.
        public let subject: String
        public let problem: Problem

        public init(subject: String, problem: Problem) {
            self.subject = subject
            self.problem = problem
        }
    }

    /// One table or view.
    public struct Comparison: Hashable, Sendable {
        public let name: String
        /// Rows, or orders, that were compared.
        public var checked = 0
        /// How many of them differ.
        public var differing = 0
        /// How many were not compared, as events of them are under way or parked.
        public var leftOut = 0
        /// The first differences.
        public var differences: [Difference] = []
        /// Why it could not be compared; nil when it was.
        public var undecided: String?

        public init(name: String) {
            self.name = name
        }

        /// Notes what differs in one row or order; nothing does when `problems` is empty.
        mutating func note(_ subject: String, _ problems: [Difference.Problem], limit: Int) {
            checked += 1
            guard !problems.isEmpty else { return }
            differing += 1
            for problem in problems.prefix(max(0, limit - differences.count)) {
                differences.append(Difference(subject: subject, problem: problem))
            }
        }
    }

    /// Where the events are that had been committed when the verification began and are in no read model yet.
    public struct UnderWay: Hashable, Sendable {
        /// Of one projection.
        public struct Projection: Hashable, Sendable {
            public let name: String
            /// In Kafka, not applied yet.
            public let waiting: Int
            /// Set aside as dead letters, or behind them.
            public let parked: Int
            /// Left out for good, by an operator's word.
            public let discarded: Int
        }

        /// In the outbox.
        public internal(set) var unpublished = 0
        /// In `outbox_failed`, until an operator decides, or for good.
        public internal(set) var setAside = 0
        public internal(set) var projections: [Projection] = []

        /// Whether everything is where it belongs; what was discarded is.
        public var isNothing: Bool {
            unpublished == 0 && setAside == 0 && projections.allSatisfy { $0.waiting == 0 && $0.parked == 0 }
        }
    }

    public internal(set) var method: Method
    public internal(set) var underWay = UnderWay()
    public internal(set) var comparisons: [Comparison] = []

    /// The same of one read model alone: whether its tables or views are equal.
    public func only(ofReadModel name: String) -> Verdict {
        var verdict = self
        let prefix = name.replacing("-", with: "_")
        verdict.comparisons.removeAll { !$0.name.hasPrefix(prefix) }
        return verdict
    }

    public var decision: Decision {
        if comparisons.contains(where: { $0.differing > 0 }) { return .different }
        return comparisons.contains { $0.undecided != nil } ? .undecided : .equal
    }

    public var isEqual: Bool { decision == .equal }

    /// What was found in one table or view; nil when it was not looked at.
    public subscript(name: String) -> Comparison? { comparisons.first { $0.name == name } }
}

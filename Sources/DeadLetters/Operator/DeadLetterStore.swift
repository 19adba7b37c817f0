public import Postgres

/// The operations of operators: lists, groups, single letters, and changes.
///
/// Each query returns a limited page. Changes run in short transactions of some hundreds of letters, so they never
/// block the handler for long and load nothing into memory; see ``change(_:_:perSecond:by:onProgress:)``.
///
/// It reads and changes the tables of migration set `dead-letters`.
public struct DeadLetterStore: Sendable {
    let connection: PostgresConnection

    /// - Parameter connection: used exclusively while a function of the store runs.
    public init(_ connection: PostgresConnection) {
        self.connection = connection
    }
}

extension DeadLetterStore {
    /// The state of a letter.
    public enum State: String, Sendable, Hashable, CaseIterable {
        /// It waits for its next attempt, or for an operator.
        case pending
        /// It was sent to the consumer, which has not answered yet.
        case retrying
        /// The consumer has applied it.
        case resolved
        /// An operator has discarded it.
        case discarded

        /// The states of unfinished letters.
        public static let open: Set<State> = [.pending, .retrying]
    }

    /// Selects letters by properties. All properties that are set must match.
    public struct Filter: Sendable, Hashable {
        public var consumer: String?
        /// Empty for all states.
        public var states: Set<State> = []
        public var errorClass: String?
        /// The fingerprint, or its first digits.
        public var fingerprint: String?
        /// The exact key of the record.
        public var key: [UInt8]?
        /// Only letters that arrived longer ago than this.
        public var olderThan: Duration?
        /// Only letters that arrived within this time.
        public var newerThan: Duration?

        public init() {}

        /// Whether it selects all letters.
        public var isEmpty: Bool { self == Filter() }
    }

    /// A group of letters that failed in the same way.
    public struct GroupName: Sendable, Hashable, CustomStringConvertible {
        public let consumer: String
        public let errorClass: String
        /// 16 hexadecimal digits, or the first of them.
        public let fingerprint: String

        public init(consumer: String, errorClass: String, fingerprint: String) {
            self.consumer = consumer
            self.errorClass = errorClass
            self.fingerprint = fingerprint
        }

        /// - Returns: nil if `text` does not have these three parts.
        public init?(_ text: String) {
            let parts = text.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count >= 3, let fingerprint = parts.last, !fingerprint.isEmpty else { return nil }
            // A consumer's name contains no slash, but an error class of another program may.
            let errorClass = parts[1..<(parts.count - 1)].joined(separator: "/")
            guard !parts[0].isEmpty, !errorClass.isEmpty else { return nil }
            self.init(consumer: String(parts[0]), errorClass: errorClass, fingerprint: String(fingerprint))
        }

        public var description: String { "\(consumer)/\(errorClass)/\(fingerprint)" }
    }

    /// The letters to change.
    public enum Selection: Sendable, Hashable {
        case letters([Int64])
        /// All letters of a group, by its complete name; see ``DeadLetterStore/group(named:)`` for a shortened name.
        case group(GroupName)
        case matching(Filter)
    }
}

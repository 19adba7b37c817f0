public import Postgres

/// The letters as operators see them: lists, groups, single letters, and the changes that operators may make.
///
/// Questions are bounded: each answers a page. Changes run in short transactions of some hundreds of letters, so that
/// the handler is never held up for long and nothing is loaded into memory; see ``change(_:_:pace:by:onProgress:)``.
///
/// Reads and changes the tables of migration set `dead-letters`.
public struct DeadLetterStore: Sendable {
    let connection: PostgresConnection

    /// - Parameter connection: is the store's as long as one of its functions runs.
    public init(_ connection: PostgresConnection) {
        self.connection = connection
    }
}

extension DeadLetterStore {
    /// What has become of a letter.
    public enum State: String, Sendable, Hashable, CaseIterable {
        /// Waits, for its next attempt or for an operator.
        case pending
        /// Is on its way to the consumer.
        case retrying
        /// The consumer has applied it.
        case resolved
        /// An operator has given it up.
        case discarded

        /// The states of letters that wait for something to happen.
        public static let open: Set<State> = [.pending, .retrying]
    }

    /// Which letters to answer, or to change. All that is set must hold.
    public struct Filter: Sendable, Hashable {
        public var consumer: String?
        /// Empty for any.
        public var states: Set<State> = []
        public var errorClass: String?
        /// The fingerprint's first digits, or all of them.
        public var fingerprint: String?
        /// The record's key, byte for byte.
        public var key: [UInt8]?
        /// Only letters that came longer ago than this.
        public var olderThan: Duration?
        /// Only letters that came within this time.
        public var newerThan: Duration?

        public init() {}

        /// Whether it lets every letter through.
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

        /// Reads `CONSUMER/CLASS/FINGERPRINT`.
        ///
        /// - Returns: nil when `text` has not these three parts.
        public init?(_ text: String) {
            let parts = text.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count >= 3, let fingerprint = parts.last, !fingerprint.isEmpty else { return nil }
            // A consumer's name has no slash; a foreign error class could.
            let errorClass = parts[1..<(parts.count - 1)].joined(separator: "/")
            guard !parts[0].isEmpty, !errorClass.isEmpty else { return nil }
            self.init(consumer: String(parts[0]), errorClass: errorClass, fingerprint: String(fingerprint))
        }

        public var description: String { "\(consumer)/\(errorClass)/\(fingerprint)" }
    }

    /// The letters that a change is about.
    public enum Selection: Sendable, Hashable {
        case letters([Int64])
        /// All of a group, by its whole name; see ``DeadLetterStore/group(named:)`` for one in short.
        case group(GroupName)
        case matching(Filter)
    }
}

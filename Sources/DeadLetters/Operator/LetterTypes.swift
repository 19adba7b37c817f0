public import StreamCore

extension DeadLetterStore {
    /// The original position of a record.
    public struct Origin: Sendable, Hashable, CustomStringConvertible {
        public let topic: String
        public let partition: Int32
        public let offset: Int64

        public var description: String { "\(topic)/\(partition)/\(offset)" }
    }

    /// A letter in a list, without the record itself.
    public struct Summary: Sendable, Hashable {
        public let letterID: Int64
        public let consumer: String
        public let state: State
        /// `failed` or `blocked`.
        public let reason: String
        public let errorClass: String
        public let fingerprint: String
        /// The message of the last failure.
        public let message: String
        public let origin: Origin
        /// At most the first 1,024 bytes.
        public let key: [UInt8]?
        public let eventType: String?
        /// The number of failed retries.
        public let attempts: Int32
        public let nextAttemptAt: Timestamp?
        public let createdAt: Timestamp
        /// The format of the letter; see ``LetterDialect``.
        public let dialect: String
    }

    /// A page of a list.
    public struct Page: Sendable {
        /// The newest letter first.
        public let letters: [Summary]
        /// The value of `before` for the next page; nil after the last page.
        public let next: Int64?
    }

    /// The counts of letters that failed in the same way.
    public struct Group: Sendable, Hashable {
        public let name: GroupName
        public let firstSeen: Timestamp
        public let lastSeen: Timestamp
        /// The number of one of its letters.
        public let exampleLetter: Int64
        public let exampleMessage: String
        public let pending: Int64
        public let retrying: Int64
        public let resolved: Int64
        public let discarded: Int64

        public var open: Int64 { pending + retrying }
    }

    public struct Header: Sendable, Hashable {
        public let name: String
        /// nil (NULL) differs from an empty value.
        public let value: [UInt8]?
    }

    /// A change of a letter.
    public struct HistoryEntry: Sendable, Hashable {
        public let at: Timestamp
        /// `dead-letter-handler`, or a user's name.
        public let actor: String
        public let action: String
        public let from: String?
        public let to: String?
        public let reason: String?
    }

    /// A corrected value. A retry sends the newest one.
    public struct Edit: Sendable, Hashable {
        public let number: Int32
        public let value: [UInt8]
        public let eventID: EventID
        public let actor: String
        public let reason: String
        public let at: Timestamp
    }

    /// Another open letter of the same key.
    public struct Neighbour: Sendable, Hashable {
        public let letterID: Int64
        public let state: State
        public let reason: String
        public let errorClass: String
        public let origin: Origin
        public let eventType: String?

        public init(
            letterID: Int64, state: State, reason: String, errorClass: String, origin: Origin, eventType: String?
        ) {
            self.letterID = letterID
            self.state = state
            self.reason = reason
            self.errorClass = errorClass
            self.origin = origin
            self.eventType = eventType
        }
    }

    /// All data of a letter.
    public struct Letter: Sendable {
        public let summary: Summary
        public let originAt: Timestamp?
        public let key: [UInt8]?
        /// nil for a tombstone, and if the consumer keeps the value.
        public let value: [UInt8]?
        /// Whether the broker refused the value because of its size, so it is in the consumer's `parked_events`.
        public let isValueWithConsumer: Bool
        /// The headers of the record.
        public let headers: [Header]
        public let eventID: EventID?
        /// `decode` or `apply`.
        public let stage: String?
        public let firstErrorClass: String
        public let firstMessage: String
        /// The topic of a retry; nil if it is unknown.
        public let replayTopic: String?
        /// The number of the last delivery, from 1.
        public let delivery: Int32
        public let stateSince: Timestamp
        /// The consumer group, which contains the version, that parked the event; empty if it is unknown.
        public let consumerGroup: String
        /// Whether an operator requested a retry. The letter is then sent after the earlier letters of its key.
        public let isNextInSequence: Bool
        /// Whether the letter is discarded and the consumer has not confirmed it yet.
        public let isDiscardOpen: Bool
    }

    /// A letter with its history, edits and neighbours.
    public struct Detail: Sendable {
        public let letter: Letter
        /// The latest changes, at most ``DeadLetterStore/historyLimit``, the oldest first.
        public let history: [HistoryEntry]
        /// The latest corrections, at most ``DeadLetterStore/editLimit``, the oldest first.
        public let edits: [Edit]
        /// Open letters of the same key around this one, at most ``DeadLetterStore/neighbourLimit`` on each side, in
        /// their order.
        public let sequence: [Neighbour]
        /// The numbers of open letters of the same key before and after this one, each at most
        /// ``DeadLetterStore/countLimit``.
        public let openBefore: Int64
        public let openBehind: Int64
    }

    public static let historyLimit = 100
    public static let editLimit = 5
    public static let neighbourLimit = 10
    public static let countLimit = 1_000
}

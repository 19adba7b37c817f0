public import StreamCore

extension DeadLetterStore {
    /// Where a record first stood.
    public struct Origin: Sendable, Hashable, CustomStringConvertible {
        public let topic: String
        public let partition: Int32
        public let offset: Int64

        public var description: String { "\(topic)/\(partition)/\(offset)" }
    }

    /// A letter in a list: all but what is in the record.
    public struct Summary: Sendable, Hashable {
        public let letterID: Int64
        public let consumer: String
        public let state: State
        /// `failed` or `blocked`.
        public let reason: String
        public let errorClass: String
        public let fingerprint: String
        /// Of the last failure.
        public let message: String
        public let origin: Origin
        /// At most the first 1,024 bytes.
        public let key: [UInt8]?
        public let eventType: String?
        /// Retries that failed.
        public let attempts: Int32
        public let nextAttemptAt: Timestamp?
        public let createdAt: Timestamp
        /// `millrace`, or whose form the letter was written in.
        public let dialect: String
    }

    /// What a list answers: a page, and where the next one starts.
    public struct Page: Sendable {
        /// The newest letter first.
        public let letters: [Summary]
        /// What to give as `before` for the next page; nil after the last one.
        public let next: Int64?
    }

    /// Letters that failed in the same way, in numbers.
    public struct Group: Sendable, Hashable {
        public let name: GroupName
        public let firstSeen: Timestamp
        public let lastSeen: Timestamp
        /// One of its letters.
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
        /// nil and empty differ.
        public let value: [UInt8]?
    }

    /// A change in a letter's life.
    public struct HistoryEntry: Sendable, Hashable {
        public let at: Timestamp
        /// `dead-letter-handler`, or a user's name.
        public let actor: String
        public let action: String
        public let from: String?
        public let to: String?
        public let reason: String?
    }

    /// A corrected value; the newest is what a retry sends.
    public struct Edit: Sendable, Hashable {
        public let number: Int32
        public let value: [UInt8]
        public let eventID: EventID
        public let actor: String
        public let reason: String
        public let at: Timestamp
    }

    /// Another letter of the same key that waits before or behind.
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

    /// All that is known of a letter.
    public struct Letter: Sendable {
        public let summary: Summary
        public let originAt: Timestamp?
        public let key: [UInt8]?
        /// nil for a tombstone, and when the value is with the consumer.
        public let value: [UInt8]?
        /// Whether the value was larger than the broker takes and stands in the consumer's `parked_events`.
        public let isValueWithConsumer: Bool
        /// The record's own.
        public let headers: [Header]
        public let eventID: EventID?
        /// `decode` or `apply`.
        public let stage: String?
        public let firstErrorClass: String
        public let firstMessage: String
        /// Where a retry goes to; nil when that is not known.
        public let replayTopic: String?
        /// The number of the last delivery, from 1.
        public let delivery: Int32
        public let stateSince: Timestamp
        /// The consumer group, and so the version, that parked the event; empty when unknown.
        public let consumerGroup: String
        /// An operator requested it. It is sent after the letters before it in its key.
        public let isNextInSequence: Bool
        /// It is discarded, and the consumer has not confirmed that yet.
        public let isDiscardOpen: Bool
    }

    /// A letter with what belongs to it.
    public struct Detail: Sendable {
        public let letter: Letter
        /// The latest changes, at most ``DeadLetterStore/historyLimit``, the oldest first.
        public let history: [HistoryEntry]
        /// The latest corrections, at most ``DeadLetterStore/editLimit``, the oldest first.
        public let edits: [Edit]
        /// Open letters of the same key around this one, at most ``DeadLetterStore/neighbourLimit`` on each side, in
        /// their order.
        public let sequence: [Neighbour]
        /// How many open letters of the same key there are before and behind, up to
        /// ``DeadLetterStore/countLimit`` each.
        public let openBefore: Int64
        public let openBehind: Int64
    }

    public static let historyLimit = 100
    public static let editLimit = 5
    public static let neighbourLimit = 10
    public static let countLimit = 1_000
}

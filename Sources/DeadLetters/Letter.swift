public import Kafka
public import StreamCore

/// What names a letter: the consumer that could not apply the event, and where the event stood first.
public struct LetterName: Sendable, Hashable {
    public let consumer: String
    /// The consumer group, and so the version, that parked the event; empty when unknown.
    public let group: String
    public let origin: TopicPartition
    public let offset: Int64
    /// Tells the record from others that stood at the same place, as the topic was deleted and made again: of our own
    /// letters the record's timestamp, of others a hash of key and value; empty when unknown.
    public let mark: String

    public init(consumer: String, group: String = "", origin: TopicPartition, offset: Int64, mark: String = "") {
        self.consumer = consumer
        self.group = group
        self.origin = origin
        self.offset = offset
        self.mark = mark
    }
}

/// Why an event became a letter.
public enum LetterReason: String, Sendable, Hashable {
    /// It failed itself.
    case failed
    /// An earlier event of its key did.
    case blocked
}

/// A dead letter as its record tells it. Whatever the record is, this can be stored: texts are valid, short and without
/// NUL, and what is not known has a stand-in.
public struct Letter: Sendable, Hashable {
    public var name: LetterName
    /// The original record's timestamp; nil when unknown.
    public var originAt: Timestamp?
    /// As they were; NULL and empty differ.
    public var key: [UInt8]?
    public var value: [UInt8]?
    /// The value was larger than the broker takes and stands in the consumer's database.
    public var isValueWithConsumer = false
    /// The original record's headers; of letters of others all that the letter has, since they say more than we read.
    public var headers: [RecordHeader]
    /// Whether events of its key wait for it.
    public var isOrdered: Bool
    public var eventID: EventID?
    public var eventType: String?
    public var reason: LetterReason
    /// `decode`, `apply`, or what another dialect calls its step.
    public var stage: String?
    public var errorClass: String
    public var message: String
    public var dialect: LetterDialect
    /// Where a retry goes; nil when nobody knows.
    public var replayTopic: String?
    /// Which delivery this is the answer to: 1, or what the retry record said.
    public var delivery: Int32

    /// Of the error; one for all blocked letters of a consumer.
    public var fingerprint: Fingerprint {
        Fingerprint(errorClass: errorClass, message: reason == .blocked ? "" : message)
    }
}

/// What a record of a dead-letter topic says.
public enum LetterNotice: Sendable, Hashable {
    /// An event could not be applied, for the first time or again.
    case letter(Letter)
    /// A retry was applied.
    case resolved(LetterName, delivery: Int32?)
    /// The consumer no longer waits for an event that an operator had given up, and kept its row or had none.
    case discarded(LetterName, delivery: Int32?, isRowKept: Bool)
    /// Everything fails at a consumer, or no longer does.
    case breaker(consumer: String, isOpen: Bool, errorClass: String, message: String)
}

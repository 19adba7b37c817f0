public import Kafka
public import StreamCore

/// The name of a letter: the consumer that could not apply the event, and the event's original position.
public struct LetterName: Sendable, Hashable {
    public let consumer: String
    /// The consumer group, and so the version, that parked the event; empty if unknown.
    public let group: String
    public let origin: TopicPartition
    public let offset: Int64
    /// Distinguishes the record from others at the same position, after a topic was deleted and created again. For
    /// letters of Millrace it is the record's timestamp, for others a hash of key and value; empty if unknown.
    public let mark: String

    public init(consumer: String, group: String = "", origin: TopicPartition, offset: Int64, mark: String = "") {
        self.consumer = consumer
        self.group = group
        self.origin = origin
        self.offset = offset
        self.mark = mark
    }
}

/// The reason why an event became a letter.
public enum LetterReason: String, Sendable, Hashable {
    /// The event itself failed.
    case failed
    /// An earlier event of its key failed.
    case blocked
}

/// A dead letter as its record describes it. Any record can be stored: texts are valid, short and without NUL, and
/// unknown values have a default.
public struct Letter: Sendable, Hashable {
    public var name: LetterName
    /// The original record's timestamp; nil if unknown.
    public var originAt: Timestamp?
    /// The original bytes. NULL and empty are different.
    public var key: [UInt8]?
    public var value: [UInt8]?
    /// Whether the broker refused the value because of its size, so the consumer keeps it in its database.
    public var isValueWithConsumer = false
    /// The original record's headers. For letters of other programs, all headers of the letter.
    public var headers: [RecordHeader]
    /// Whether events of its key wait for it.
    public var isOrdered: Bool
    public var eventID: EventID?
    public var eventType: String?
    public var reason: LetterReason
    /// `decode`, `apply`, or the step's name in another dialect.
    public var stage: String?
    public var errorClass: String
    public var message: String
    public var dialect: LetterDialect
    /// The topic of a retry; nil if unknown.
    public var replayTopic: String?
    /// The number of the delivery that this answers: 1, or the number in the retry record.
    public var delivery: Int32

    /// The fingerprint of the error. All blocked letters of a consumer have the same one.
    public var fingerprint: Fingerprint {
        Fingerprint(errorClass: errorClass, message: reason == .blocked ? "" : message)
    }
}

/// The content of a record of a dead-letter topic.
public enum LetterNotice: Sendable, Hashable {
    /// An event could not be applied, for the first time or again.
    case letter(Letter)
    /// A retry was applied.
    case resolved(LetterName, delivery: Int32?)
    /// The consumer no longer waits for a discarded event. It kept the event's row or had none.
    case discarded(LetterName, delivery: Int32?, isRowKept: Bool)
    /// The circuit breaker of a consumer opened or closed.
    case breaker(consumer: String, isOpen: Bool, errorClass: String, message: String)
}

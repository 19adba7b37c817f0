public import StreamCore

/// What a consumer of ours reports in its dead-letter topic, as the headers of one record say it
/// (docs/dead-letters.md). Key, value and the other headers are the original record's, as far as the letter has them.
public struct LetterReport: Sendable, Hashable {
    public enum Reason: String, Sendable, Hashable, CaseIterable {
        /// An event cannot be decoded or applied.
        case failed
        /// An event waits for an earlier one of its key.
        case blocked
        /// A letter's event is applied.
        case resolved
        /// A letter's event will not be applied.
        case discarded
        /// So much fails that nothing more of a partition is parked.
        case breakerOpened = "circuit-breaker-opened"
        /// Events of the partition can be applied again.
        case breakerClosed = "circuit-breaker-closed"

        /// The letter carries the event's value and headers.
        public var carriesRecord: Bool { self == .failed || self == .blocked }

        /// It is about a partition's circuit breaker, and not about an event.
        public var isAboutBreaker: Bool { self == .breakerOpened || self == .breakerClosed }
    }

    public var reason: Reason
    /// The consumer's name.
    public var consumer: String?
    /// Its consumer group, and so its version.
    public var group: String?
    /// Where the record stood first; nil in letters about a circuit breaker.
    public var origin: RecordOrigin?
    /// Which delivery of the event it is about: 1, or what the retry request said.
    public var delivery: Int?
    /// Later events of the key wait for this one.
    public var isOrdered = true
    /// `decode` or `apply`: what failed.
    public var stage: String?
    public var errorClass: String?
    public var message: String?
    public var eventID: EventID?
    /// What of the record is with the consumer, since the broker does not take it.
    public var kept = KeptParts.none
    /// The row of a discarded event stays with the consumer.
    public var isRowKept = false

    /// Bytes of an error message at most; a longer one loses its middle.
    public static let messageLimit = 1_000
    /// Bytes of a consumer group's name that are read, at most.
    static let groupLimit = 1_000

    public init(_ reason: Reason) {
        self.reason = reason
    }

    /// The headers that say it.
    public var fields: [LetterField] {
        let kept = reason.carriesRecord ? kept : .none
        let texts: [(StaticString, String?)] = [
            (LetterHeader.group, group),
            (LetterHeader.deliveryCount, delivery.map { String($0) }),
            (LetterHeader.message, message.map { $0.shortened(toBytes: Self.messageLimit) }),
            (LetterHeader.consumer, consumer),
            (LetterHeader.reason, reason.rawValue),
            (LetterHeader.order, isOrdered ? LetterHeader.ordered : LetterHeader.unordered),
            (LetterHeader.stage, stage),
            (LetterHeader.errorClass, errorClass),
            (LetterHeader.originTimestamp, origin?.timestampMs.map { String($0) }),
            (LetterHeader.eventID, eventID?.description),
            (LetterHeader.valueKept, kept >= .value ? LetterHeader.inDatabase : nil),
            (LetterHeader.headersKept, kept >= .headers ? LetterHeader.inDatabase : nil),
            (LetterHeader.keyKept, kept >= .record ? LetterHeader.inDatabase : nil),
            (LetterHeader.row, isRowKept ? LetterHeader.rowKept : nil),
        ]
        return (origin?.fields ?? []) + texts.compactMap { name, text in text.map { LetterField(name, $0) } }
    }

    /// Reads what a letter's headers say. Any reason that is not known is `failed`: what a newer consumer writes must
    /// not be lost.
    ///
    /// - Returns: nil when the headers are none that a consumer of ours writes: without a reason, or about a record
    ///   that they do not name.
    public init?(_ headers: LetterHeaders) {
        func text(_ name: StaticString, limit: Int) -> String? { headers.text("\(name)", limit: limit) }
        guard let word = text(LetterHeader.reason, limit: 40) else { return nil }
        reason = Reason(rawValue: word) ?? .failed
        origin = RecordOrigin(headers)
        if origin == nil && !reason.isAboutBreaker { return nil }
        consumer = text(LetterHeader.consumer, limit: 200)
        group = text(LetterHeader.group, limit: Self.groupLimit)
        delivery = headers.smallNumber("\(LetterHeader.deliveryCount)").map { Int($0) }
        isOrdered = text(LetterHeader.order, limit: 20) != LetterHeader.unordered
        stage = text(LetterHeader.stage, limit: 40)
        errorClass = text(LetterHeader.errorClass, limit: 200)
        message = text(LetterHeader.message, limit: Self.messageLimit)
        eventID = text(LetterHeader.eventID, limit: 40).flatMap { EventID($0) }
        isRowKept = text(LetterHeader.row, limit: 20) == LetterHeader.rowKept
        for part in KeptParts.all {
            if text(part.header, limit: 20) == LetterHeader.inDatabase { kept = part.parts }
        }
    }
}

/// The parts of a record that a letter lacks, because the broker takes no letter with them: they stand in the
/// consumer's `parked_events`. Each has those before it.
public enum KeptParts: Int, Sendable, Comparable {
    case none
    case value
    case headers
    /// The key too, for which the letter has another.
    case record

    public static func < (left: KeptParts, right: KeptParts) -> Bool { left.rawValue < right.rawValue }

    /// One part more; nil when there is none.
    public var next: KeptParts? { KeptParts(rawValue: rawValue + 1) }

    /// As `parked_events.kept` has it.
    public var name: String { "\(self)" }

    /// The headers that say so, in their order.
    static let all: [(header: StaticString, parts: KeptParts)] = [
        (LetterHeader.valueKept, .value), (LetterHeader.headersKept, .headers), (LetterHeader.keyKept, .record),
    ]
}

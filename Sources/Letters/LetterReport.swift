public import StreamCore

/// A report of a consumer of Millrace in its dead-letter topic, as the headers of one record (docs/dead-letters.md).
/// Key, value and the other headers are those of the original record, as far as the letter contains them.
public struct LetterReport: Sendable, Hashable {
    public enum Reason: String, Sendable, Hashable, CaseIterable {
        /// An event cannot be decoded or applied.
        case failed
        /// An event waits for an earlier one of its key.
        case blocked
        /// A letter's event was applied.
        case resolved
        /// A letter's event will not be applied.
        case discarded
        /// Too many events fail, so the partition parks no more events.
        case breakerOpened = "circuit-breaker-opened"
        /// Events of the partition can be applied again.
        case breakerClosed = "circuit-breaker-closed"

        /// Whether the letter contains the event's value and headers.
        public var carriesRecord: Bool { self == .failed || self == .blocked }

        /// Whether it concerns a partition's circuit breaker and not an event.
        public var isAboutBreaker: Bool { self == .breakerOpened || self == .breakerClosed }
    }

    public var reason: Reason
    /// The consumer's name.
    public var consumer: String?
    /// The consumer group, which contains the version.
    public var group: String?
    /// The original position of the record; nil in letters about a circuit breaker.
    public var origin: RecordOrigin?
    /// The number of the event's delivery: 1, or the number in the retry request.
    public var delivery: Int?
    /// Whether later events of the key wait for this one.
    public var isOrdered = true
    /// The step that failed: `decode` or `apply`.
    public var stage: String?
    public var errorClass: String?
    public var message: String?
    public var eventID: EventID?
    /// The parts of the record that the consumer keeps, because the broker refuses them.
    public var kept = KeptParts.none
    /// Whether the consumer keeps the row of a discarded event.
    public var isRowKept = false

    /// Maximum size of an error message in bytes. A longer one loses its middle.
    public static let messageLimit = 1_000
    /// Maximum size of a consumer group's name in bytes.
    static let groupLimit = 1_000

    public init(_ reason: Reason) {
        self.reason = reason
    }

    /// The headers of this report.
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

    /// Reads the headers of a letter. An unknown reason counts as `failed`, so that letters of a newer consumer are not
    /// lost.
    ///
    /// - Returns: nil if a consumer of Millrace did not write these headers: they have no reason, or do not name the
    ///   record.
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

/// The parts of a record that a letter lacks, because the broker refuses them. The consumer keeps them in
/// `parked_events`. Each case includes the previous ones.
public enum KeptParts: Int, Sendable, Comparable {
    case none
    case value
    case headers
    /// Also the key. The letter then has another key.
    case record

    public static func < (left: KeptParts, right: KeptParts) -> Bool { left.rawValue < right.rawValue }

    /// The next larger case; nil for the last one.
    public var next: KeptParts? { KeptParts(rawValue: rawValue + 1) }

    /// The value of the column `kept` of `parked_events`.
    public var name: String { "\(self)" }

    /// The headers that name these parts, in the order of the cases.
    static let all: [(header: StaticString, parts: KeptParts)] = [
        (LetterHeader.valueKept, .value), (LetterHeader.headersKept, .headers), (LetterHeader.keyKept, .record),
    ]
}

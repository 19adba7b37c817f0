internal import Kafka
internal import StreamCore

/// The names of the headers of letters and of records that come back. `__dlq.errors.*` are Kafka's own, by KIP-1191.
enum LetterHeader {
    static let topic: StaticString = "__dlq.errors.topic"
    static let partition: StaticString = "__dlq.errors.partition"
    static let offset: StaticString = "__dlq.errors.offset"
    static let group: StaticString = "__dlq.errors.group"
    static let deliveryCount: StaticString = "__dlq.errors.delivery.count"
    static let message: StaticString = "__dlq.errors.message"
    static let consumer: StaticString = "millrace.consumer"
    static let reason: StaticString = "millrace.reason"
    static let order: StaticString = "millrace.order"
    static let stage: StaticString = "millrace.stage"
    static let errorClass: StaticString = "millrace.error.class"
    static let originTimestamp: StaticString = "millrace.origin.timestamp"
    static let eventID: StaticString = "millrace.event-id"
    static let valueKept: StaticString = "millrace.value.kept"
    static let headersKept: StaticString = "millrace.headers.kept"
    static let keyKept: StaticString = "millrace.key.kept"
    static let action: StaticString = "millrace.action"
    static let row: StaticString = "millrace.row"

    /// The value of ``valueKept``, ``headersKept`` and ``keyKept``.
    static let inDatabase = "database"
    /// Values of ``row``: a discarded event has its row still, or has had none since it was discarded.
    static let rowKept = "kept"
    static let rowForgotten = "forgotten"

    /// Whether a header is about an earlier letter, and not the original record's.
    static func isOurs(_ name: String) -> Bool {
        name.hasPrefix("__dlq.errors.") || name.hasPrefix("millrace.")
    }
}

/// What a projection says in its letter topic.
struct Letter: Sendable {
    enum Reason: String, Sendable, CaseIterable {
        /// An event that cannot be decoded or applied.
        case failed
        /// An event that waits for an earlier one of its key.
        case blocked
        /// A letter's event is applied.
        case resolved
        /// A letter's event will not be applied.
        case discarded
        case breakerOpened = "circuit-breaker-opened"
        case breakerClosed = "circuit-breaker-closed"

        /// The letter carries the event's value and headers.
        var carriesRecord: Bool { self == .failed || self == .blocked }
    }

    let reason: Reason
    /// The record that it is about; nil for those about a circuit breaker.
    var record: RecordView?
    var origin: RecordOrigin?
    var delivery: Int?
    var timestampMs: Int64?
    var eventID: EventID?
    var stage: StoppedPartition.Stage?
    var errorClass: String?
    var message: String?
    /// What the letter lacks, as the broker does not take it.
    var kept = KeptParts.none
    /// It has been in the database since an earlier letter, and this one's record has nothing of it.
    var isKeptBefore = false

    /// What it lacks is to be written to the database.
    var isKeptNow: Bool { kept != .none && !isKeptBefore && reason.carriesRecord }

    /// The letter with less of the record; nil when nothing more can be left out.
    var shorter: Letter? {
        guard let next = reason.carriesRecord ? kept.next : kept == .record ? nil : .record else { return nil }
        var letter = self
        letter.kept = next
        return letter
    }

    /// A key in the place of one that the broker does not take, or where it wants one and there is none.
    var standInKey: [UInt8] {
        let place = origin.map { "\($0.partition.topic)/\($0.partition.partition)/\($0.offset)" }
        return Array((place ?? reason.rawValue).utf8)
    }
    /// The discarded event's row stays.
    var isRowKept = false
}

/// What all letters of a projection have in common.
struct LetterSender: Sendable {
    let consumer: String
    let group: String
    let route: DeadLetterRoute

    /// Bytes of an error message at most.
    private static let messageLimit = 1_000

    func headers(of letter: Letter) -> RecordHeaders {
        let headers = RecordHeaders(capacity: 24)
        if letter.reason.carriesRecord, let record = letter.record {
            for header in letter.ownHeaders(of: record) { headers.append(header.name, header.value?.span) }
        }
        for (name, text) in texts(of: letter) {
            if let text { headers.append(name, text.utf8Span.span) }
        }
        return headers
    }

    func texts(of letter: Letter) -> [(StaticString, String?)] {
        let kept = letter.reason.carriesRecord ? letter.kept : .none
        return [
            (LetterHeader.topic, letter.origin?.partition.topic),
            (LetterHeader.partition, letter.origin.map { String($0.partition.partition) }),
            (LetterHeader.offset, letter.origin.map { String($0.offset) }),
            (LetterHeader.group, group),
            (LetterHeader.deliveryCount, letter.delivery.map { String($0) }),
            (LetterHeader.message, letter.message.map { $0.shortened(toBytes: Self.messageLimit) }),
            (LetterHeader.consumer, consumer),
            (LetterHeader.reason, letter.reason.rawValue),
            (LetterHeader.order, route.order.rawValue),
            (LetterHeader.stage, letter.stage?.rawValue),
            (LetterHeader.errorClass, letter.errorClass),
            (LetterHeader.originTimestamp, letter.timestampMs.map { String($0) }),
            (LetterHeader.eventID, letter.eventID?.description),
            (LetterHeader.valueKept, kept >= .value ? LetterHeader.inDatabase : nil),
            (LetterHeader.headersKept, kept >= .headers ? LetterHeader.inDatabase : nil),
            (LetterHeader.keyKept, kept >= .record ? LetterHeader.inDatabase : nil),
            (LetterHeader.row, letter.isRowKept ? LetterHeader.rowKept : nil),
        ]
    }
}

/// The parts of a record that a letter lacks, because the broker takes no letter with them: they stand in
/// `parked_events`. Each has those before it.
enum KeptParts: Int, Sendable, Comparable {
    case none
    case value
    case headers
    /// The key too, for which the letter has another.
    case record

    static func < (left: KeptParts, right: KeptParts) -> Bool { left.rawValue < right.rawValue }

    var next: KeptParts? { KeptParts(rawValue: rawValue + 1) }

    /// As `parked_events.kept` has it.
    var name: String { "\(self)" }
}

extension Letter {
    /// The original record's headers, as far as the letter has them.
    func ownHeaders(of record: RecordView) -> [RecordHeader] {
        kept >= .headers ? [] : record.headers.filter { !LetterHeader.isOurs($0.name) }
    }
}

public import Kafka
internal import StreamCore

/// What a record of a retry topic asks a consumer for, as its headers say it (docs/dead-letters.md). Key, value and the
/// other headers are the event's to apply.
public struct RetryRequest: Sendable, Hashable {
    public enum Action: String, Sendable, Hashable, CaseIterable {
        case apply
        case discard
    }

    public var origin: RecordOrigin
    public var action: Action
    /// Which delivery of the event this is; the answer names it.
    public var delivery: Int
    /// The value is in the consumer's `parked_events`.
    public var isValueKept: Bool
    /// The consumer group that parked the event; nil in a request that does not say.
    public var group: String?
    /// The event was discarded by a release that deleted its row.
    public var isForgotten: Bool

    public init(
        _ action: Action, _ origin: RecordOrigin, delivery: Int, group: String? = nil, isValueKept: Bool = false,
        isForgotten: Bool = false
    ) {
        self.action = action
        self.origin = origin
        self.delivery = delivery
        self.group = group
        self.isValueKept = isValueKept
        self.isForgotten = isForgotten
    }

    /// The headers that say it.
    public var fields: [LetterField] {
        let texts: [(StaticString, String?)] = [
            (LetterHeader.group, group),
            (LetterHeader.originTimestamp, origin.timestampMs.map { String($0) }),
            (LetterHeader.deliveryCount, String(delivery)),
            (LetterHeader.action, action.rawValue),
            (LetterHeader.valueKept, isValueKept ? LetterHeader.inDatabase : nil),
            (LetterHeader.row, isForgotten ? LetterHeader.rowForgotten : nil),
        ]
        return origin.fields + texts.compactMap { name, text in text.map { LetterField(name, $0) } }
    }

    /// - Returns: nil when the headers do not say where the record comes from and what is to be done.
    public init?(_ headers: LetterHeaders) {
        guard let origin = RecordOrigin(headers),
            let delivery = headers.smallNumber("\(LetterHeader.deliveryCount)"), delivery > 0,
            let action = headers.text("\(LetterHeader.action)", limit: 20).flatMap(Action.init(rawValue:))
        else { return nil }
        self.init(
            action, origin, delivery: Int(delivery),
            group: headers.text("\(LetterHeader.group)", limit: LetterReport.groupLimit),
            isValueKept: headers.text("\(LetterHeader.valueKept)", limit: 20) == LetterHeader.inDatabase,
            isForgotten: headers.text("\(LetterHeader.row)", limit: 20) == LetterHeader.rowForgotten)
    }

    /// Reads a record of a retry topic.
    ///
    /// - Returns: nil when the record is no request.
    public init?(_ record: RecordView) {
        self.init(LetterHeaders(Array(record.headers)))
    }
}

public import Kafka
internal import StreamCore

/// A request to a consumer in a record of its retry topic, as headers (docs/dead-letters.md). Key, value and the other
/// headers are those of the event to apply.
public struct RetryRequest: Sendable, Hashable {
    public enum Action: String, Sendable, Hashable, CaseIterable {
        case apply
        case discard
    }

    public var origin: RecordOrigin
    public var action: Action
    /// The number of the event's delivery. The answer repeats it.
    public var delivery: Int
    /// Whether the value is in the consumer's `parked_events`.
    public var isValueKept: Bool
    /// The consumer group that parked the event; nil if the request does not name it.
    public var group: String?
    /// Whether a release that deletes the row discarded the event.
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

    /// The headers of this request.
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

    /// - Returns: nil if the headers lack the origin or the action.
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
    /// - Returns: nil if the record is not a request.
    public init?(_ record: RecordView) {
        self.init(LetterHeaders(Array(record.headers)))
    }
}

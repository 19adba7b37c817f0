internal import Kafka
internal import StreamCore

/// Where a record was first.
struct RecordOrigin: Hashable, Sendable {
    let partition: TopicPartition
    let offset: Int64
    /// When the record was written, in milliseconds since 1970: a topic that was deleted and made again has another
    /// record at the same offset. nil where it is not known.
    var timestampMs: Int64?

    /// Whether both may be the same record.
    func isSame(as other: RecordOrigin) -> Bool {
        partition == other.partition && offset == other.offset
            && (timestampMs == nil || other.timestampMs == nil || timestampMs == other.timestampMs)
    }
}

/// What a record of the retry topic asks for, by its headers.
struct RetryRequest: Sendable, Equatable {
    enum Action: String, Sendable {
        case apply
        case discard
    }

    let origin: RecordOrigin
    let action: Action
    /// Which delivery of the event this is; the answer names it.
    let delivery: Int
    /// The value is in `parked_events`.
    let isValueKept: Bool
    /// The consumer group that parked the event; nil in a request that does not say.
    let group: String?
    /// The event was discarded by a release that deleted its row.
    let isForgotten: Bool

    /// - Returns: nil when the record does not say where it comes from and what is to be done.
    init?(_ record: RecordView) {
        self.init { record.header(named: "\($0)")?.value }
    }

    /// - Parameter header: the value of the last header of a name.
    init?(header: (StaticString) -> [UInt8]?) {
        func text(_ name: StaticString) -> String? {
            header(name).flatMap { String(validating: $0, as: UTF8.self) }
        }
        guard let topic = text(LetterHeader.topic), !topic.isEmpty,
            let partition = text(LetterHeader.partition).flatMap({ Int32($0) }), partition >= 0,
            let offset = text(LetterHeader.offset).flatMap({ Int64($0) }), offset >= 0,
            let delivery = text(LetterHeader.deliveryCount).flatMap({ Int($0) }), delivery > 0,
            let action = text(LetterHeader.action).flatMap(Action.init(rawValue:))
        else { return nil }
        origin = RecordOrigin(
            partition: TopicPartition(topic: topic, partition: partition), offset: offset,
            timestampMs: text(LetterHeader.originTimestamp).flatMap { Int64($0) })
        self.action = action
        self.delivery = delivery
        isValueKept = text(LetterHeader.valueKept) == LetterHeader.inDatabase
        group = text(LetterHeader.group)
        isForgotten = text(LetterHeader.row) == LetterHeader.rowForgotten
    }
}

public import Kafka
public import StreamCore

/// A record for filters and formats, which read its bytes in place.
public protocol TailRecord {
    /// The partition of the record.
    var topicPartition: TopicPartition { get }
    /// The offset of the record in the partition.
    var offset: Int64 { get }
    /// The timestamp in milliseconds since 1970; nil if the record has none.
    var timestampMs: Int64? { get }
    /// The key; nil if it is null, which is not the same as empty.
    var key: Span<UInt8>? { @_lifetime(borrow self) get }
    /// The value; nil if it is null. The record is then a tombstone.
    var value: Span<UInt8>? { @_lifetime(borrow self) get }
    /// Calls `body` for each header in order. A null value is passed as nil.
    func forEachHeader(_ body: (_ name: Span<UInt8>, _ value: Span<UInt8>?) -> Void)
}

extension RecordView: TailRecord {}

/// A copy of a record, for showing it later.
public struct CopiedRecord: TailRecord, Sendable {
    /// A header. Its value is nil if it is null.
    public struct Header: Sendable {
        let name: [UInt8]
        let value: [UInt8]?
    }

    public let topicPartition: TopicPartition
    public let offset: Int64
    public let timestampMs: Int64?
    let keyBytes: [UInt8]?
    let valueBytes: [UInt8]?
    let headers: [Header]

    public init(
        _ topicPartition: TopicPartition, offset: Int64, timestampMs: Int64? = nil, key: [UInt8]? = nil,
        value: [UInt8]? = nil, headers: [(name: String, value: [UInt8]?)] = []
    ) {
        self.topicPartition = topicPartition
        self.offset = offset
        self.timestampMs = timestampMs
        keyBytes = key
        valueBytes = value
        self.headers = headers.map { Header(name: Array($0.name.utf8), value: $0.value) }
    }

    init(copying record: borrowing some TailRecord) {
        topicPartition = record.topicPartition
        offset = record.offset
        timestampMs = record.timestampMs
        keyBytes = [UInt8](copying: record.key)
        valueBytes = [UInt8](copying: record.value)
        var headers: [Header] = []
        record.forEachHeader { name, value in
            headers.append(Header(name: [UInt8](copying: name), value: [UInt8](copying: value)))
        }
        self.headers = headers
    }

    public var key: Span<UInt8>? { @_lifetime(borrow self) get { keyBytes?.span } }
    public var value: Span<UInt8>? { @_lifetime(borrow self) get { valueBytes?.span } }

    public func forEachHeader(_ body: (_ name: Span<UInt8>, _ value: Span<UInt8>?) -> Void) {
        for header in headers { body(header.name.span, header.value?.span) }
    }
}

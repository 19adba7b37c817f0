public import Kafka
public import StreamCore

/// A record as filters and formats see it: its bytes in place.
public protocol TailRecord {
    /// Where it is.
    var topicPartition: TopicPartition { get }
    /// Its place in the partition.
    var offset: Int64 { get }
    /// Milliseconds since 1970; nil for a record without a timestamp.
    var timestampMs: Int64? { get }
    /// nil when it is NULL, which is not the same as empty.
    var key: Span<UInt8>? { @_lifetime(borrow self) get }
    /// nil when it is NULL: a tombstone.
    var value: Span<UInt8>? { @_lifetime(borrow self) get }
    /// Hands out all headers in their order; a value that is NULL is nil.
    func forEachHeader(_ body: (_ name: Span<UInt8>, _ value: Span<UInt8>?) -> Void)
}

extension RecordView: TailRecord {}

/// A record with memory of its own, for what is shown later.
public struct CopiedRecord: TailRecord, Sendable {
    /// A header, its value nil when it is NULL.
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

internal import CRDKafka
internal import Foundation
public import StreamCore
internal import Synchronization

/// Records that a consumer returned together. The records of each partition are in their order.
///
/// The batch owns the client's memory of the records and frees it with the last reference, on any thread. Nothing is
/// copied without a request. A batch keeps this memory and the client alive.
// SAFETY: nothing changes after `init` but librdkafka's lazily parsed headers, which `headerParsing` guards. The
// messages belong to the events, the events to us: freed once, in `deinit`.
@safe
public final class RecordBatch: @unchecked Sendable {
    @safe struct Entry {
        let event: OpaquePointer
        let message: UnsafePointer<rd_kafka_message_t>
        let partitionIndex: Int
    }

    let entries: [Entry]
    private let partitions: [TopicPartition]
    private let client: ClientHandle
    fileprivate let headerParsing = Mutex(())

    /// The offset after the last record of each partition in the batch, from which reading continues.
    public let nextOffsets: [TopicPartition: Int64]
    /// Partitions that end with or behind this batch, with their ends; see ``ConsumerEvent/ends(_:)``.
    public let ends: [TopicPartition: Int64]
    /// Size of keys and values in bytes.
    public let byteCount: Int

    init(_ builder: consuming RecordBatchBuilder, client: ClientHandle) {
        nextOffsets = builder.nextOffsets
        ends = builder.ends
        byteCount = builder.byteCount
        partitions = builder.partitions
        self.client = client
        entries = builder.take()
    }

    deinit {
        for entry in entries { unsafe rd_kafka_event_destroy(entry.event) }
    }

    /// Number of records; at least one.
    public var count: Int { entries.count }

    /// The record at `index`, from 0.
    public subscript(index: Int) -> RecordView { RecordView(batch: self, index: index) }

    func partition(of entry: Entry) -> TopicPartition { partitions[entry.partitionIndex] }
}

extension RecordBatch: RandomAccessCollection {
    public var startIndex: Int { 0 }
    public var endIndex: Int { entries.count }
}

/// One record of a batch. It is cheap to pass on, and keeps the whole batch alive.
public struct RecordView: Sendable {
    private let batch: RecordBatch
    private let index: Int
    /// Set if this record stands for another one.
    private let origin: Origin?

    private final class Origin: Sendable {
        let topicPartition: TopicPartition
        let offset: Int64
        let value: [UInt8]?
        let headers: [RecordHeader]?

        init(_ topicPartition: TopicPartition, _ offset: Int64, _ value: [UInt8]?, _ headers: [RecordHeader]?) {
            self.topicPartition = topicPartition
            self.offset = offset
            self.value = value
            self.headers = headers
        }
    }

    init(batch: RecordBatch, index: Int) {
        self.batch = batch
        self.index = index
        origin = nil
    }

    private init(_ record: RecordView, origin: Origin) {
        batch = record.batch
        index = record.index
        self.origin = origin
    }

    /// This record with another origin, for records that are delivered again through another topic.
    ///
    /// - Parameters:
    ///   - value: replaces this record's value; nil keeps it.
    ///   - headers: replace this record's headers; nil keeps them.
    public func standing(
        for topicPartition: TopicPartition, offset: Int64, value: [UInt8]? = nil, headers: [RecordHeader]? = nil
    ) -> RecordView {
        RecordView(self, origin: Origin(topicPartition, offset, value, headers))
    }

    // SAFETY, for all accesses below: the message lives as long as the batch, which `self` holds, and is not changed.
    private var message: UnsafePointer<rd_kafka_message_t> { unsafe batch.entries[index].message }

    /// The position of the record.
    public var topicPartition: TopicPartition {
        origin?.topicPartition ?? batch.partition(of: batch.entries[index])
    }

    /// The offset in the partition.
    public var offset: Int64 { unsafe origin?.offset ?? message.pointee.offset }

    /// The timestamp in milliseconds since 1970 UTC; nil if neither the producer nor the broker set one.
    public var timestampMs: Int64? {
        var type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
        let timestamp = unsafe rd_kafka_message_timestamp(message, &type)
        return type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? nil : timestamp
    }

    /// The key's bytes; nil if the key is NULL, which differs from an empty key.
    public var key: Span<UInt8>? {
        @_lifetime(borrow self) get {
            guard let start = unsafe message.pointee.key else { return nil }
            return unsafe span(start, message.pointee.key_len)
        }
    }

    /// The value's bytes; nil if the value is NULL (a tombstone), which differs from an empty value.
    public var value: Span<UInt8>? {
        @_lifetime(borrow self) get {
            if let value = origin?.value {
                // SAFETY: the array does not change, and lives as long as the origin, which `self` holds.
                return unsafe _overrideLifetime(value.span, borrowing: self)
            }
            guard let start = unsafe message.pointee.payload else { return nil }
            return unsafe span(start, message.pointee.len)
        }
    }

    @_lifetime(borrow self)
    private func span(_ start: UnsafeMutableRawPointer, _ count: Int) -> Span<UInt8> {
        let bytes = unsafe UnsafeBufferPointer(start: start.assumingMemoryBound(to: UInt8.self), count: count)
        return unsafe _overrideLifetime(Span(_unsafeElements: bytes), borrowing: self)
    }
}

// MARK: - Headers

extension RecordView {
    /// All headers in their order; names may repeat. They are copied, and parsed at the first request.
    public var headers: [RecordHeader] {
        if let headers = origin?.headers { return headers }
        guard let list = unsafe headerList else { return [] }
        var headers: [RecordHeader] = []
        headers.reserveCapacity(unsafe rd_kafka_header_cnt(list))
        var name: UnsafePointer<CChar>?
        var value: UnsafeRawPointer?
        var size = 0
        while unsafe rd_kafka_header_get_all(list, headers.count, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR,
            let found = unsafe name
        {
            unsafe headers.append(RecordHeader(name: String(cString: found), value: copy(value, size)))
        }
        return headers
    }

    /// The last header with this name, which counts if names repeat.
    ///
    /// - Returns: nil if there is none; a header with a nil `value` if its value is NULL.
    public func header(named name: String) -> RecordHeader? {
        if let headers = origin?.headers { return headers.last { $0.name == name } }
        guard let list = unsafe headerList else { return nil }
        var value: UnsafeRawPointer?
        var size = 0
        guard unsafe rd_kafka_header_get_last(list, name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR else {
            return nil
        }
        return unsafe RecordHeader(name: name, value: copy(value, size))
    }

    /// Passes all headers in their order, without copying names and values; names may repeat.
    ///
    /// - Parameter body: receives the bytes of the name and of the value; nil for NULL.
    public func forEachHeader(_ body: (_ name: Span<UInt8>, _ value: Span<UInt8>?) -> Void) {
        if let headers = origin?.headers {
            for header in headers { body(header.name.utf8Span.span, header.value?.span) }
            return
        }
        guard let list = unsafe headerList else { return }
        var index = 0
        var name: UnsafePointer<CChar>?
        var value: UnsafeRawPointer?
        var size = 0
        // SAFETY: names are zero-terminated, values have `size` bytes; both live as long as the message.
        while unsafe rd_kafka_header_get_all(list, index, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR,
            let found = unsafe name
        {
            let start = unsafe UnsafeRawPointer(found).assumingMemoryBound(to: UInt8.self)
            let bytes = unsafe UnsafeBufferPointer(start: start, count: strlen(found))
            if let value = unsafe value {
                let data = unsafe UnsafeBufferPointer(start: value.assumingMemoryBound(to: UInt8.self), count: size)
                unsafe body(Span(_unsafeElements: bytes), Span(_unsafeElements: data))
            } else {
                unsafe body(Span(_unsafeElements: bytes), nil)
            }
            index += 1
        }
    }

    private func copy(_ start: UnsafeRawPointer?, _ count: Int) -> [UInt8]? {
        unsafe start.map { unsafe [UInt8](UnsafeRawBufferPointer(start: $0, count: count)) }
    }

    /// librdkafka parses the headers of a record into the record at the first request. For other threads that read at
    /// the same time this is a write.
    private var headerList: OpaquePointer? {
        unsafe batch.withHeaderParsing {
            var list: OpaquePointer?
            let result = unsafe rd_kafka_message_headers(message, &list)
            return unsafe result == RD_KAFKA_RESP_ERR_NO_ERROR ? list : nil
        }
    }
}

extension RecordBatch {
    fileprivate func withHeaderParsing(_ parse: () -> OpaquePointer?) -> OpaquePointer? {
        // SAFETY: the list lives as long as the message, and is not changed once it is parsed.
        let address = headerParsing.withLock { _ in unsafe UInt(bitPattern: parse()) }
        return unsafe OpaquePointer(bitPattern: address)
    }
}

// MARK: - Collecting

/// Fetched records that are being collected into a batch.
@safe
struct RecordBatchBuilder: ~Copyable {
    private var entries: [RecordBatch.Entry] = []
    private(set) var partitions: [TopicPartition] = []
    private(set) var nextOffsets: [TopicPartition: Int64] = [:]
    private(set) var byteCount = 0
    /// The ends of partitions without records beyond them.
    private(set) var ends: [TopicPartition: Int64] = [:]

    /// The probable place of the next record: the partition of the previous one.
    private var current: (topic: OpaquePointer?, partition: Int32, index: Int) = (nil, -1, -1)
    private var lastOffset: Int64 = -1

    var count: Int { entries.count }
    var isEmpty: Bool { entries.isEmpty && ends.isEmpty }

    deinit {
        for entry in entries { unsafe rd_kafka_event_destroy(entry.event) }
    }

    /// Takes over an event of type `RD_KAFKA_EVENT_FETCH`.
    mutating func append(_ event: OpaquePointer) {
        // SAFETY: the event is ours now; its message lives as long as it, and the topic handle as long as the message.
        guard let message = unsafe rd_kafka_event_message_next(event) else {
            unsafe rd_kafka_event_destroy(event)
            return
        }
        let record = unsafe message.pointee
        if unsafe record.rkt != current.topic || record.partition != current.partition {
            unsafe select(record)
        }
        unsafe entries.append(RecordBatch.Entry(event: event, message: message, partitionIndex: current.index))
        unsafe byteCount += record.len + record.key_len
        unsafe lastOffset = record.offset
    }

    mutating func append(end offset: Int64, of partition: TopicPartition) {
        ends[partition] = offset
    }

    private mutating func select(_ record: rd_kafka_message_t) {
        closeRun()
        let topic = unsafe String(cString: rd_kafka_topic_name(record.rkt))
        let partition = unsafe TopicPartition(topic: topic, partition: record.partition)
        let index = partitions.firstIndex(of: partition) ?? partitions.endIndex
        if index == partitions.endIndex { partitions.append(partition) }
        unsafe current = unsafe (record.rkt, record.partition, index)
    }

    /// Notes that the records of `current` have ended for now.
    private mutating func closeRun() {
        let index = unsafe current.index
        if index >= 0 { nextOffsets[partitions[index]] = lastOffset + 1 }
    }

    /// Finishes ``nextOffsets`` and ``ends``.
    mutating func close() {
        closeRun()
        ends = ends.filter { partition, end in end >= nextOffsets[partition] ?? 0 }
    }

    /// Passes the ownership of the records to the caller, who frees the events.
    consuming func take() -> [RecordBatch.Entry] {
        let taken = entries
        entries = []
        return taken
    }
}

internal import Blocking
internal import CRDKafka

/// What became of one record.
public struct DeliveryReport: Sendable {
    /// The tag that the record was produced with.
    public let tag: UInt64
    /// Why it was not delivered; nil when all in-sync replicas have it, at ``offset``.
    ///
    /// A success without an offset is an error too: the client then only concludes from the success of a later batch
    /// that an earlier one was taken, while a broker that knows nothing of this producer yet takes any batch first.
    ///
    /// After a timeout the broker may have it all the same. A broker refuses a batch as a whole, so an error of kind
    /// `permanent` may be the fault of a neighbour: only a record that was refused when sent alone is at fault itself.
    public let error: KafkaError?
    /// Where it went.
    public let partition: Int32
    /// Its offset there; negative when it was not delivered.
    public let offset: Int64

    init(tag: UInt64, error: KafkaError?, partition: Int32, offset: Int64) {
        self.tag = tag
        self.error = error ?? (offset < 0 ? .impliedDelivery : nil)
        self.partition = partition
        self.offset = offset
    }
}

/// A keyed, idempotent producer: records with one key keep their order, a retry neither repeats nor reorders them, and
/// each is reported as delivered once all in-sync replicas have it.
///
/// The queue is bounded (`queue.buffering.max.kbytes`, 4 MiB unless configured otherwise, which a processor's cache
/// holds: 16 MiB cost half as much CPU again a record and 30 MiB more memory). When it is full,
/// ``produce(topic:key:value:headers:tag:)`` throws an error with ``KafkaError/isQueueFull`` and ``waitForSpace()``
/// suspends until deliveries have made room. A record that cannot be delivered within `message.timeout.ms` is reported
/// with an error.
///
/// Keys go to partitions as with Kafka's Java clients (murmur2), so that both may write one topic; ``partitions(of:)``
/// tells how many there are.
@safe
public final class Producer: Sendable {
    private let handle: ClientHandle
    private let topics: TopicHandles
    private let deliveries: DeliveryLoop

    private static let defaults = [
        "linger.ms": "1",
        "queue.buffering.max.kbytes": "4096",
        "socket.nagle.disable": "true",
    ]

    private static let owned = [
        "enable.idempotence": "true",
        "acks": "all",
    ]

    /// Starts the producer and its thread. Brokers need not be there yet.
    ///
    /// - Parameters:
    ///   - stopsAtGap: when a record fails for good, fail all that are behind it too, with a fatal error, rather than
    ///     go on without it: for callers whose later records must not overtake a failed one.
    ///   - onError: errors of the client as a whole: brokers that cannot be reached, refused logins, a fatal error.
    ///     Called on the producer's thread.
    ///   - onDelivery: takes the reports, in batches, on the producer's thread: it must not block, and what it is busy
    ///     with delays all later reports. Each record that ``produce(topic:key:value:headers:tag:)`` took is reported
    ///     once, also when it is purged, unless the producer is dropped without ``close(timeoutMs:)``.
    /// - Throws: what is wrong with the configuration.
    public init(
        _ configuration: KafkaClientConfiguration, stopsAtGap: Bool = false,
        onError: @escaping @Sendable (KafkaError) -> Void = { _ in },
        onDelivery: @escaping @Sendable ([DeliveryReport]) -> Void
    ) throws(KafkaError) {
        let owned = Self.owned.merging(["enable.gapless.guarantee": stopsAtGap ? "true" : "false"]) { $1 }
        handle = try ClientHandle(
            RD_KAFKA_PRODUCER, configuration, defaults: Self.defaults, owned: owned,
            events: RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR)
        topics = TopicHandles(handle)
        deliveries = DeliveryLoop(handle, onError: onError, onDelivery: onDelivery)
        deliveries.start()
    }

    deinit {
        deliveries.stop()
    }

    /// Hands one record to the producer, without waiting. Everything is copied.
    ///
    /// - Parameters:
    ///   - key: decides the partition; nil is NULL: any partition. Not the same as empty.
    ///   - value: nil is NULL, a tombstone. Not the same as empty.
    ///   - headers: taken over, also when the call throws.
    ///   - timestampMs: the record's time in milliseconds since 1970; 0 or less for now.
    ///   - tag: returned in the record's ``DeliveryReport``; below 2⁶³.
    /// - Throws: ``KafkaError/isQueueFull`` when there is no room now; of kind `permanent` when this record can never
    ///   be sent (too large, impossible topic); fatal when the producer is of no more use. There is no report then.
    public func produce(
        topic: String, key: Span<UInt8>?, value: Span<UInt8>?, headers: consuming RecordHeaders?,
        timestampMs: Int64 = 0, tag: UInt64
    ) throws(KafkaError) {
        precondition(tag < DeliveryLoop.firstOwnTag, "tags are below 2⁶³")
        try enqueue(topic: topic, key: key, value: value, headers: headers, timestampMs: timestampMs, tag: tag)
    }

    private func enqueue(
        topic: String, key: Span<UInt8>?, value: Span<UInt8>?, headers: consuming RecordHeaders?,
        timestampMs: Int64 = 0, tag: UInt64
    ) throws(KafkaError) {
        let attempt = try deliveries.attempt()
        let topicHandle = unsafe try topics.handle(for: topic)
        let headerList = unsafe headers.take()?.release()
        // SAFETY: librdkafka copies key and value (F_COPY) before it returns, and owns the headers when it returns no
        // error; otherwise they are still ours. The topic handle lives as long as the producer.
        let error = unsafe withUnsafeTemporaryAllocation(of: rd_kafka_vu_t.self, capacity: 7) { arguments in
            unsafe arguments.initialize(repeating: rd_kafka_vu_t())
            unsafe arguments[0].vtype = RD_KAFKA_VTYPE_RKT
            unsafe arguments[0].u.rkt = topicHandle
            unsafe arguments[1].vtype = RD_KAFKA_VTYPE_MSGFLAGS
            unsafe arguments[1].u.i = RD_KAFKA_MSG_F_COPY
            unsafe arguments[2].vtype = RD_KAFKA_VTYPE_OPAQUE
            unsafe arguments[2].u.ptr = UnsafeMutableRawPointer(bitPattern: UInt(tag))
            var count = 3
            if let key {
                let bytes = unsafe key.bytesForC
                unsafe arguments[count].vtype = RD_KAFKA_VTYPE_KEY
                unsafe arguments[count].u.mem.ptr = bytes.start
                unsafe arguments[count].u.mem.size = bytes.count
                count += 1
            }
            if let value {
                let bytes = unsafe value.bytesForC
                unsafe arguments[count].vtype = RD_KAFKA_VTYPE_VALUE
                unsafe arguments[count].u.mem.ptr = bytes.start
                unsafe arguments[count].u.mem.size = bytes.count
                count += 1
            }
            if timestampMs > 0 {
                unsafe arguments[count].vtype = RD_KAFKA_VTYPE_TIMESTAMP
                unsafe arguments[count].u.i64 = timestampMs
                count += 1
            }
            if let headerList = unsafe headerList {
                unsafe arguments[count].vtype = RD_KAFKA_VTYPE_HEADERS
                unsafe arguments[count].u.headers = headerList
                count += 1
            }
            return unsafe rd_kafka_produceva(handle.pointer, arguments.baseAddress, count)
        }
        guard let error = unsafe error else { return }
        if let headerList = unsafe headerList { unsafe rd_kafka_headers_destroy(headerList) }
        throw unsafe refusal(error, attempt)
    }

    /// What `rd_kafka_produceva` said; frees it.
    private func refusal(_ error: OpaquePointer, _ attempt: DeliveryLoop.Attempt) -> KafkaError {
        let refusal: KafkaError
        do throws(KafkaError) {
            unsafe try KafkaError.check(error)
            preconditionFailure("an error is never success")
        } catch {
            refusal = error
        }
        if refusal.isQueueFull { deliveries.noteFull(attempt) }
        return refusal.isFatal ? handle.fatalError ?? refusal : refusal
    }

    /// How many partitions a topic has, by what the last record to it that was given a partition was told; nil before.
    ///
    /// A key's record goes to partition `murmur2(key) & 0x7FFFFFFF % count`.
    public func partitions(of topic: String) -> Int? { topics.partitions(of: topic) }

    /// Suspends until deliveries have made room since ``produce(topic:key:value:headers:tag:)`` last found the queue
    /// full. Returns also when the task is cancelled or the producer closes.
    public func waitForSpace() async {
        await deliveries.waitForSpace()
    }

    /// Produces one record, waiting for room and then for its delivery.
    ///
    /// - Parameter timestampMs: the record's time in milliseconds since 1970; 0 or less for now.
    ///
    /// - Throws: why it was not delivered.
    @discardableResult
    public func send(
        topic: String, key: [UInt8]?, value: [UInt8]?, headers: [RecordHeader] = [], timestampMs: Int64 = 0
    ) async throws(KafkaError) -> DeliveryReport {
        let tag = deliveries.nextOwnTag()
        while true {
            do throws(KafkaError) {
                let report = try await deliveries.report(for: tag) { () throws(KafkaError) in
                    try self.enqueue(
                        topic: topic, key: key?.span, value: value?.span,
                        headers: headers.isEmpty ? nil : RecordHeaders(headers), timestampMs: timestampMs,
                        tag: tag)
                }
                if let error = report.error { throw error }
                return report
            } catch {
                guard error.isQueueFull, !Task.isCancelled else { throw error }
                await waitForSpace()
            }
        }
    }

    /// Waits until every record produced before has been delivered and reported.
    ///
    /// - Throws: ``KafkaError/isTimeout`` when some are still outstanding after `timeoutMs` milliseconds.
    public func flush(timeoutMs: Int32) async throws(KafkaError) {
        let handle = handle
        try KafkaError.check(await onOwnThread("kafka-flush") { unsafe rd_kafka_flush(handle.pointer, timeoutMs) })
    }

    /// Gives up all records that were not delivered yet: each is reported with an error. Those in flight may have
    /// reached the broker.
    public func purge() {
        unsafe rd_kafka_purge(
            handle.pointer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING)
    }

    /// Delivers what is outstanding, gives up what is not delivered within `timeoutMs` milliseconds, and ends the
    /// producer's thread after the last report. Nothing can be produced afterwards.
    public func close(timeoutMs: Int32) async {
        deliveries.refuseMore()
        do throws(KafkaError) {
            try await flush(timeoutMs: timeoutMs)
        } catch {
            purge()
            // The purged records' reports need no broker, only the thread.
            do throws(KafkaError) { try await flush(timeoutMs: 1_000) } catch {}
        }
        await deliveries.stopped()
    }

    /// Records that were produced and not yet reported.
    public var outstanding: Int { Int(unsafe rd_kafka_outq_len(handle.pointer)) }

    /// The error after which this producer is of no more use, when there was one: make a new one.
    public var fatalError: KafkaError? { handle.fatalError }
}

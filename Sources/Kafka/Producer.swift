internal import Blocking
internal import CRDKafka

/// The result of one record.
public struct DeliveryReport: Sendable {
    /// The tag that the record was produced with.
    public let tag: UInt64
    /// The reason why it was not delivered; nil when all in-sync replicas have it, at ``offset``.
    ///
    /// A success without an offset is also an error. The client then only concludes from the success of a later batch
    /// that an earlier one was accepted, but a broker that does not know this producer yet accepts any batch first.
    ///
    /// After a timeout the broker may still have the record. A broker refuses a batch as a whole, so another record of
    /// the batch may have caused an error of kind `permanent`. Only a record that was refused alone is invalid itself.
    public let error: KafkaError?
    /// The record's partition.
    public let partition: Int32
    /// The record's offset; negative if it was not delivered.
    public let offset: Int64

    init(tag: UInt64, error: KafkaError?, partition: Int32, offset: Int64) {
        self.tag = tag
        self.error = error ?? (offset < 0 ? .impliedDelivery : nil)
        self.partition = partition
        self.offset = offset
    }
}

/// A keyed, idempotent producer. Records with one key keep their order. A retry neither repeats nor reorders records. A
/// record is reported as delivered when all in-sync replicas have it.
///
/// The queue is limited (`queue.buffering.max.kbytes`, 4 MiB by default, which fits into a processor's cache; 16 MiB
/// cost half as much CPU again for each record and 30 MiB more memory). If it is full,
/// ``produce(topic:key:value:headers:tag:)`` throws an error with ``KafkaError/isQueueFull``, and ``waitForSpace()``
/// suspends until deliveries have freed space. A record that cannot be delivered within `message.timeout.ms` is
/// reported with an error.
///
/// Keys have the same partitions as with Kafka's Java clients (murmur2), so both may write to one topic.
/// ``partitions(of:)`` returns the number of partitions.
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

    /// Starts the producer and its thread. It needs no brokers yet.
    ///
    /// - Parameters:
    ///   - stopsAtGap: whether a permanently failed record also fails all records behind it, with a fatal error. Use it
    ///     if later records must not overtake a failed one.
    ///   - onError: receives errors of the client as a whole: unreachable brokers, refused logins, a fatal error.
    ///     Called on the producer's thread.
    ///   - onDelivery: receives the reports in batches on the producer's thread. It must not block, because it delays
    ///     all later reports. Each record that ``produce(topic:key:value:headers:tag:)`` accepted is reported once,
    ///     also if it is purged, unless the producer is released without ``close(timeoutMs:)``.
    /// - Throws: the problem of the configuration.
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

    /// Passes one record to the producer without waiting. Everything is copied.
    ///
    /// - Parameters:
    ///   - key: decides the partition. nil is NULL: any partition. NULL differs from an empty key.
    ///   - value: nil is NULL, a tombstone. NULL differs from an empty value.
    ///   - headers: taken over, also if the call throws.
    ///   - timestampMs: the record's time in milliseconds since 1970; 0 or less for the current time.
    ///   - tag: returned in the record's ``DeliveryReport``; below 2⁶³.
    /// - Throws: ``KafkaError/isQueueFull`` if there is no space now; an error of kind `permanent` if this record can
    ///   never be sent (too large, impossible topic); a fatal error if the producer cannot be used any more. No report
    ///   follows then.
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

    /// Reads the result of `rd_kafka_produceva` and frees it.
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

    /// The number of partitions of a topic when the last record to it was assigned to a partition; nil before that.
    ///
    /// A key's record goes to partition `murmur2(key) & 0x7FFFFFFF % count`.
    public func partitions(of topic: String) -> Int? { topics.partitions(of: topic) }

    /// Suspends until deliveries have freed space since ``produce(topic:key:value:headers:tag:)`` last found the queue
    /// full. It also returns when the task is cancelled or the producer closes.
    public func waitForSpace() async {
        await deliveries.waitForSpace()
    }

    /// Produces one record: waits for space and then for its delivery.
    ///
    /// - Parameter timestampMs: the record's time in milliseconds since 1970; 0 or less for the current time.
    /// - Throws: the reason why it was not delivered.
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

    /// Waits until all earlier records are delivered and reported.
    ///
    /// - Throws: ``KafkaError/isTimeout`` if some are still outstanding after `timeoutMs` milliseconds.
    public func flush(timeoutMs: Int32) async throws(KafkaError) {
        let handle = handle
        try KafkaError.check(await onOwnThread("kafka-flush") { unsafe rd_kafka_flush(handle.pointer, timeoutMs) })
    }

    /// Sends the records that were produced so far without waiting for `linger.ms`, and waits for their delivery. The
    /// rest is delivered later as usual.
    ///
    /// Call it when no records are about to follow: waiting for more would only delay these. Records that are produced
    /// meanwhile are not collected into batches either.
    ///
    /// - Parameter blockingMs: the maximum time, in milliseconds, for which the calling thread is blocked. It must not
    ///   be one of Swift's pool.
    public func sendWithoutLinger(blockingMs: Int32) {
        // librdkafka ignores `linger.ms` as long as a flush lasts. A record that is not delivered in time is reported
        // later.
        _ = unsafe rd_kafka_flush(handle.pointer, blockingMs)
    }

    /// Gives up all records that are not delivered yet. Each is reported with an error. Records in flight may have
    /// reached the broker.
    public func purge() {
        unsafe rd_kafka_purge(
            handle.pointer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING)
    }

    /// Delivers outstanding records, gives up those that are not delivered within `timeoutMs` milliseconds, and ends
    /// the producer's thread after the last report. Nothing can be produced afterwards.
    public func close(timeoutMs: Int32) async {
        deliveries.refuseMore()
        do throws(KafkaError) {
            try await flush(timeoutMs: timeoutMs)
        } catch {
            purge()
            // The reports of purged records need no broker, only the thread.
            do throws(KafkaError) { try await flush(timeoutMs: 1_000) } catch {}
        }
        await deliveries.stopped()
    }

    /// Number of records that were produced and not reported yet.
    public var outstanding: Int { Int(unsafe rd_kafka_outq_len(handle.pointer)) }

    /// The error after which this producer cannot be used; nil if there was none. Create a new one then.
    public var fatalError: KafkaError? { handle.fatalError }
}

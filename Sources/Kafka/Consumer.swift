internal import Blocking
internal import CRDKafka
public import StreamCore
internal import Synchronization

/// Limits of one ``Consumer/poll(_:)``.
public struct BatchLimits: Hashable, Sendable {
    /// Maximum number of records in a batch.
    public var maxRecords: Int
    /// Size of keys and values, in bytes, at which a batch takes no more records. The last record may exceed it.
    public var maxBytes: Int
    /// Maximum time to wait for the first record, in milliseconds.
    public var maxWaitMs: Int32
    /// Maximum time to wait for more records after the first, in milliseconds; 0 takes the records that are there.
    public var lingerMs: Int32

    public init(maxRecords: Int = 2_000, maxBytes: Int = 4 << 20, maxWaitMs: Int32 = 100, lingerMs: Int32 = 0) {
        precondition(maxRecords > 0 && maxBytes > 0 && maxWaitMs >= 0 && lingerMs >= 0, "limits are positive")
        self.maxRecords = maxRecords
        self.maxBytes = maxBytes
        self.maxWaitMs = maxWaitMs
        self.lingerMs = lingerMs
    }
}

/// The result of ``Consumer/poll(_:)``. Records and changes of the assignment come in one order: a batch returned
/// before `revoked` was fetched before it.
public enum ConsumerEvent: Sendable {
    /// Records of assigned partitions.
    case batch(RecordBatch)
    /// The group assigned these partitions to this consumer (additional ones with the cooperative protocol). Nothing is
    /// fetched before ``Consumer/assign(_:)`` answers it, also with an empty list.
    case assigned([TopicPartition])
    /// The group requests these partitions back. This consumer still owns them: finish the work, commit, then answer
    /// with ``Consumer/unassign(_:)``. The whole group waits until then.
    case revoked([TopicPartition])
    /// The group has already reassigned these partitions, because this member did not respond for too long. Other
    /// members may own them. Write nothing, drop their records, and answer with ``Consumer/unassign(_:)``.
    case lost([TopicPartition])
    /// An error; see ``KafkaError/kind``, ``KafkaError/isOffsetOutOfRange`` and ``KafkaError/isFatal``. The consumer
    /// itself tries again, unless the error is fatal.
    case error(KafkaError)
    /// The broker has no more records of these partitions. The next record of a partition will have this offset or a
    /// higher one. Between the last record and the end there may be offsets without a record: transaction markers,
    /// aborted transactions, compacted records. Only consumers with `tellsEnds` report this event. Ends that are found
    /// together with records are in ``RecordBatch/ends``.
    case ends([TopicPartition: Int64])
    /// No record came in time, or another task called ``Consumer/wake()``.
    case idle
}

/// The position at which reading of a partition begins.
public enum StartOffset: Hashable, Sendable {
    /// The next record to read.
    case offset(Int64)
    /// The oldest record of the broker.
    case beginning
    /// Records produced from now on.
    case end
    /// The committed offset of the group. If there is none, an ``ConsumerEvent/error(_:)`` with
    /// ``KafkaError/isOffsetOutOfRange`` follows.
    case committed

    var wireValue: Int64 {
        switch self {
        case .offset(let offset): offset
        case .beginning: Int64(RD_KAFKA_OFFSET_BEGINNING)
        case .end: Int64(RD_KAFKA_OFFSET_END)
        case .committed: Int64(RD_KAFKA_OFFSET_STORED)
        }
    }
}

/// A member of a consumer group. Its owner handles offsets and rebalances. Calls run one after the other on the
/// consumer's own thread. Calls that need not wait for a running ``poll(_:)`` are `nonisolated`.
///
/// The consumer commits only on request. An offset that the broker does not have is an error and is never skipped. Call
/// ``poll(_:)`` often, because it alone shows the group that this member is alive.
public actor Consumer {
    private let executor: ThreadExecutor
    nonisolated let handle: ClientHandle
    nonisolated let queue: ClientQueue
    /// An event that was found while a batch was collected. It is returned after the batch.
    private var next: ConsumerEvent?
    /// Whether a change of the assignment was returned and is not answered yet.
    var unanswered: Rebalance?
    private(set) var isClosed = false
    /// The next position of each assigned partition after the returned records. After a seek, librdkafka's own position
    /// is the old one until the first record, so a second seek would lose records in between.
    var positions: [TopicPartition: StartOffset] = [:]
    /// The partitions that were paused and not resumed. librdkafka keeps a pause when a partition is given up.
    var paused: Set<TopicPartition> = []
    /// Whether librdkafka may not have started the partitions of the last assignment yet.
    var isAssigning = false
    nonisolated let isAskingToFetch = Atomic(false)

    public nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe executor.asUnownedSerialExecutor() }

    /// The preference of a task that polls and then uses the records. It continues on the consumer's thread, and other
    /// calls of the consumer wait until it suspends.
    public nonisolated var taskExecutor: any TaskExecutor { executor }

    enum Rebalance {
        case assign, revoke
    }

    private static let defaults = [
        // `roundrobin` balances the partitions of several topics. A sticky strategy would move fewer partitions: see
        // `KafkaClientConfiguration.isStickySafe`.
        "partition.assignment.strategy": "roundrobin",
        "queued.max.messages.kbytes": "16384",
        "socket.nagle.disable": "true",
        "allow.auto.create.topics": "false",
        // Time after which the group reassigns the partitions of a dead member. By default, brokers accept no less than
        // 6 s.
        "session.timeout.ms": "6000",
        "heartbeat.interval.ms": "1500",
        // Time after which new topics and partitions are detected.
        "topic.metadata.refresh.interval.ms": "5000",
    ]

    private static let owned = [
        "enable.auto.commit": "false",
        "enable.auto.offset.store": "false",
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
    ]

    /// Starts the client. It needs no brokers yet, and joins no group before ``subscribe(_:)``.
    ///
    /// - Parameters:
    ///   - group: the consumer group. It is also required without a subscription, for ``assign(_:)`` alone.
    ///   - instance: the name of this instance as a static member of the group, unique in the group. A static member
    ///     that is closed or killed keeps its partitions until its session ends, and has them again at once if it
    ///     returns before. Nil for a member that leaves the group when it is closed.
    ///   - tellsEnds: whether to report ``ConsumerEvent/ends(_:)``.
    /// - Throws: the problem of the configuration.
    public init(
        _ configuration: KafkaClientConfiguration, group: String, instance: String? = nil, tellsEnds: Bool = false
    ) throws(KafkaError) {
        var owned = Self.owned
        owned["group.id"] = group
        owned["group.instance.id"] = instance
        owned["enable.partition.eof"] = tellsEnds ? "true" : "false"
        let handle = try ClientHandle(
            RD_KAFKA_CONSUMER, configuration, defaults: Self.defaults, owned: owned,
            events: RD_KAFKA_EVENT_FETCH | RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_ERROR
                | RD_KAFKA_EVENT_OFFSET_COMMIT)
        self.handle = handle
        queue = try ClientQueue(consumerOf: handle)
        executor = ThreadExecutor(name: "kafka-consume")
    }

    /// Joins the group for these topics, which replace the previous ones. A name that begins with `^` is a pattern.
    public func subscribe(_ topics: [String]) throws(KafkaError) {
        let list = PartitionList(topics.map { TopicPartition(topic: $0, partition: RD_KAFKA_PARTITION_UA) })
        try KafkaError.check(unsafe rd_kafka_subscribe(handle.pointer, list.pointer))
    }

    // MARK: polling

    /// Waits for records or the next event, up to the limits. It blocks only the consumer's own thread.
    ///
    /// - Throws: if the consumer is closed.
    public func poll(_ limits: BatchLimits) throws(KafkaError) -> ConsumerEvent {
        if isClosed { throw .closed("the consumer") }
        if let event = next {
            next = nil
            return event
        }
        var builder = RecordBatchBuilder()
        var isFull = false
        var timeoutMs = limits.maxWaitMs
        var deadline = ContinuousClock.now + .milliseconds(timeoutMs)
        // A yield by `wake()` is kept until a poll that finds nothing, so it is never lost.
        while let event = unsafe queue.poll(timeoutMs: timeoutMs) {
            let wasEmpty = builder.isEmpty
            if unsafe rd_kafka_event_type(event) == RD_KAFKA_EVENT_FETCH {
                unsafe builder.append(event)
                isFull = builder.count >= limits.maxRecords || builder.byteCount >= limits.maxBytes
                if isFull { break }
            } else if let end = unsafe end(event) {
                builder.append(end: end.offset, of: end.partition)
            } else if let event = unsafe read(event) {
                if wasEmpty { return event }
                next = event
                break
            }
            if wasEmpty && !builder.isEmpty {
                timeoutMs = limits.lingerMs
                deadline = ContinuousClock.now + .milliseconds(timeoutMs)
            } else if timeoutMs > 0 {
                timeoutMs = max(0, Self.milliseconds(until: deadline))
            }
        }
        let result = collected(builder)
        if isFull, case .batch(let records) = result { fetchSoon(records[records.count - 1].topicPartition) }
        return result
    }

    private func collected(_ builder: consuming RecordBatchBuilder) -> ConsumerEvent {
        builder.close()
        let ends = builder.ends
        for (partition, offset) in builder.nextOffsets { positions[partition] = .offset(offset) }
        for (partition, end) in ends { positions[partition] = .offset(end) }
        if builder.count > 0 { return .batch(RecordBatch(builder, client: handle)) }
        return ends.isEmpty ? .idle : .ends(ends)
    }

    /// Ends a waiting ``poll(_:)``, or the next one that would wait.
    public nonisolated func wake() {
        queue.yield()
    }

    /// Reads an event with the end of a partition, and frees it.
    ///
    /// - Returns: nil for any other event, which is not freed.
    private func end(_ event: OpaquePointer) -> PartitionPosition? {
        guard unsafe rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR,
            unsafe rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__PARTITION_EOF,
            // SAFETY: ours to free; copied before.
            let partition = unsafe rd_kafka_event_topic_partition(event)
        else { return nil }
        defer {
            unsafe rd_kafka_topic_partition_destroy(partition)
            unsafe rd_kafka_event_destroy(event)
        }
        return unsafe PartitionPosition(partition.pointee)
    }

    private static func milliseconds(until deadline: ContinuousClock.Instant) -> Int32 {
        let (seconds, attoseconds) = (deadline - .now).components
        return Int32(clamping: seconds * 1_000 + attoseconds / 1_000_000_000_000_000)
    }

    /// Reads an event without a record, and frees it.
    ///
    /// - Returns: nil for events that need no reaction.
    private func read(_ event: OpaquePointer) -> ConsumerEvent? {
        defer { unsafe rd_kafka_event_destroy(event) }
        switch unsafe rd_kafka_event_type(event) {
        case RD_KAFKA_EVENT_REBALANCE:
            return unsafe rebalance(event)
        case RD_KAFKA_EVENT_ERROR:
            return unsafe .error(handle.error(of: event))
        case RD_KAFKA_EVENT_OFFSET_COMMIT:
            let response = unsafe rd_kafka_event_error(event)
            // There were no offsets to commit.
            if response == RD_KAFKA_RESP_ERR__NO_OFFSET { return nil }
            return response == RD_KAFKA_RESP_ERR_NO_ERROR ? nil : .error(KafkaError(response))
        default:
            return nil
        }
    }

    private func rebalance(_ event: OpaquePointer) -> ConsumerEvent {
        // SAFETY: a rebalance event always has a list, which lives as long as it and is copied.
        let list = unsafe rd_kafka_event_topic_partition_list(event)
        let partitions = unsafe list.map { unsafe PartitionList.entries(of: $0).map(\.partition) } ?? []
        if unsafe rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            unanswered = .assign
            return .assigned(partitions)
        }
        unanswered = .revoke
        return unsafe rd_kafka_assignment_lost(handle.pointer) != 0 ? .lost(partitions) : .revoked(partitions)
    }

    // MARK: closing

    /// Leaves the group: answers open rebalances by giving up all partitions, waits for commits in progress, and ends.
    /// Commit offsets before this call.
    ///
    /// - Returns: whether the consumer left the group within `timeoutMs` milliseconds. If not, the group detects it
    ///   after `session.timeout.ms`.
    @discardableResult
    public func close(timeoutMs: Int32) -> Bool {
        if isClosed { return true }
        isClosed = true
        next = nil
        let deadline = ContinuousClock.now + .milliseconds(timeoutMs)
        settle(until: deadline)
        do throws(KafkaError) {
            unsafe try KafkaError.check(rd_kafka_consumer_close_queue(handle.pointer, queue.pointer))
        } catch {
            return false
        }
        // Only now: while the consumer leaves the group, librdkafka treats every answer as giving up all partitions,
        // with every protocol.
        if unanswered != nil { giveUpAll() }
        while unsafe rd_kafka_consumer_closed(handle.pointer) == 0 {
            let remainingMs = Self.milliseconds(until: deadline)
            if remainingMs <= 0 { return false }
            // The waits are short, because no event announces that closing has ended.
            guard let event = unsafe queue.poll(timeoutMs: min(remainingMs, 20)) else { continue }
            let isRebalance = unsafe rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE
            unsafe rd_kafka_event_destroy(event)
            if isRebalance { giveUpAll() }
        }
        return true
    }

    /// Drops the events in the queue, and answers an assignment by taking no partitions. librdkafka 2.0 never finishes
    /// closing if it begins while an assignment is unanswered: it then treats every answer as giving up, which only
    /// answers a revocation. The timeout covers an assignment that arrives at this moment.
    private func settle(until deadline: ContinuousClock.Instant) {
        try? pause(assignment)
        while ContinuousClock.now < deadline, let event = unsafe queue.poll(timeoutMs: 0) {
            if unsafe rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE { unsafe _ = rebalance(event) }
            unsafe rd_kafka_event_destroy(event)
        }
        if unanswered == .assign { try? assign([:]) }
    }

    /// Answers a rebalance of any kind by giving up all partitions.
    private func giveUpAll() {
        unanswered = nil
        unsafe rd_kafka_assign(handle.pointer, nil)
    }
}

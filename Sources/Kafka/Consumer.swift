internal import Blocking
internal import CRDKafka
public import StreamCore
internal import Synchronization

/// When ``Consumer/poll(_:)`` stops collecting.
public struct BatchLimits: Hashable, Sendable {
    /// Most records in a batch.
    public var maxRecords: Int
    /// Bytes of keys and values after which no more is added; one record may pass it.
    public var maxBytes: Int
    /// How long to wait for the first record, in milliseconds.
    public var maxWaitMs: Int32
    /// How long to wait for more after the first, in milliseconds; 0 takes what is there.
    public var lingerMs: Int32

    public init(maxRecords: Int = 2_000, maxBytes: Int = 4 << 20, maxWaitMs: Int32 = 100, lingerMs: Int32 = 0) {
        precondition(maxRecords > 0 && maxBytes > 0 && maxWaitMs >= 0 && lingerMs >= 0, "limits are positive")
        self.maxRecords = maxRecords
        self.maxBytes = maxBytes
        self.maxWaitMs = maxWaitMs
        self.lingerMs = lingerMs
    }
}

/// What a consumer's ``Consumer/poll(_:)`` found. Records and changes of the assignment come in one order: a batch
/// handed out before `revoked` was fetched before it.
public enum ConsumerEvent: Sendable {
    /// Records of assigned partitions.
    case batch(RecordBatch)
    /// The group gave these partitions to this consumer (more, when the protocol is cooperative). Nothing is fetched
    /// until it is answered by ``Consumer/assign(_:)``, with no partitions as well.
    case assigned([TopicPartition])
    /// The group wants these partitions back. They are still ours: finish, commit, then answer by
    /// ``Consumer/unassign(_:)``. Until then the whole group waits.
    case revoked([TopicPartition])
    /// The group took these partitions away already (this member was gone too long): others may own them. Write
    /// nothing, drop what is of them, and answer by ``Consumer/unassign(_:)``.
    case lost([TopicPartition])
    /// Something failed; see ``KafkaError/kind``, ``KafkaError/isOffsetOutOfRange`` and ``KafkaError/isFatal``. The
    /// consumer itself goes on trying, unless the error is fatal.
    case error(KafkaError)
    /// The broker has no more records of these partitions: each ends at this offset, which the next record read will
    /// have or pass. Between a partition's last record and its end there may be offsets without a record: transaction
    /// markers, aborted transactions, what compaction removed. Only from a consumer that was made to tell ends; those
    /// found together with records are ``RecordBatch/ends``.
    case ends([TopicPartition: Int64])
    /// Nothing came in time, or somebody called ``Consumer/wake()``.
    case idle
}

/// Where to begin with a partition.
public enum StartOffset: Hashable, Sendable {
    /// The next record to read.
    case offset(Int64)
    /// The oldest record that the broker has.
    case beginning
    /// Records produced from now on.
    case end
    /// What the group committed; an ``ConsumerEvent/error(_:)`` with ``KafkaError/isOffsetOutOfRange`` when it has
    /// committed nothing.
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

/// A member of a consumer group that leaves offsets and the answers to rebalances to its owner. Its calls run one
/// after the other on a thread of its own; those that need not wait for a running ``poll(_:)`` are `nonisolated`.
///
/// Nothing is committed unless asked for, and an offset that the broker does not have is an error, never skipped.
/// ``poll(_:)`` must be called often: it alone tells the group that this member is alive.
public actor Consumer {
    private let executor: ThreadExecutor
    nonisolated let handle: ClientHandle
    nonisolated let queue: ClientQueue
    /// Found while a batch was being collected; comes after it.
    private var next: ConsumerEvent?
    /// A change of the assignment was handed out and not answered yet.
    var unanswered: Rebalance?
    private(set) var isClosed = false
    /// Where each assigned partition goes on after what was handed out. librdkafka's own position is the one before a
    /// seek until the first record after it, so records between the two would be lost to a second seek.
    var positions: [TopicPartition: StartOffset] = [:]
    nonisolated let isAskingToFetch = Atomic(false)

    public nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe executor.asUnownedSerialExecutor() }

    enum Rebalance {
        case assign, revoke
    }

    private static let defaults = [
        // Balanced over several topics. Sticky would move less: see `KafkaClientConfiguration.isStickySafe`.
        "partition.assignment.strategy": "roundrobin",
        "queued.max.messages.kbytes": "16384",
        "socket.nagle.disable": "true",
        "allow.auto.create.topics": "false",
        // How long a dead member keeps its partitions. Brokers accept no less than 6 s unless they are told to.
        "session.timeout.ms": "6000",
        "heartbeat.interval.ms": "1500",
        // How soon topics and partitions that are added are found.
        "topic.metadata.refresh.interval.ms": "5000",
    ]

    private static let owned = [
        "enable.auto.commit": "false",
        "enable.auto.offset.store": "false",
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
    ]

    /// Starts the client. Brokers need not be there yet; nothing is joined before ``subscribe(_:)``.
    ///
    /// - Parameters:
    ///   - group: the consumer group; also needed to read without one, by ``assign(_:)`` alone.
    ///   - instance: makes it a static member of the group: the name of this instance, which no other member has. A
    ///     static member that is closed or killed keeps its partitions until its session ends, and has them again at
    ///     once when it comes back before. Nil for a member that leaves when it is closed.
    ///   - tellsEnds: whether to hand out ``ConsumerEvent/ends(_:)``.
    /// - Throws: what is wrong with the configuration.
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

    /// Joins the group for these topics, instead of those before. A name that begins with `^` is a pattern.
    public func subscribe(_ topics: [String]) throws(KafkaError) {
        let list = PartitionList(topics.map { TopicPartition(topic: $0, partition: RD_KAFKA_PARTITION_UA) })
        try KafkaError.check(unsafe rd_kafka_subscribe(handle.pointer, list.pointer))
    }

    // MARK: polling

    /// Waits for records or for the next event, up to the limits. Blocks only the consumer's own thread.
    ///
    /// - Throws: when the consumer is closed.
    public func poll(_ limits: BatchLimits) throws(KafkaError) -> ConsumerEvent {
        if isClosed { throw .closed("the consumer") }
        if let event = next {
            next = nil
            return event
        }
        var builder = RecordBatchBuilder()
        var timeoutMs = limits.maxWaitMs
        var deadline = ContinuousClock.now + .milliseconds(timeoutMs)
        // A yield by `wake()` is kept until a poll that finds nothing, so it is never lost.
        while let event = unsafe queue.poll(timeoutMs: timeoutMs) {
            let wasEmpty = builder.isEmpty
            if unsafe rd_kafka_event_type(event) == RD_KAFKA_EVENT_FETCH {
                unsafe builder.append(event)
                if builder.count >= limits.maxRecords || builder.byteCount >= limits.maxBytes { break }
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
        return collected(builder)
    }

    private func collected(_ builder: consuming RecordBatchBuilder) -> ConsumerEvent {
        builder.close()
        let ends = builder.ends
        for (partition, offset) in builder.nextOffsets { positions[partition] = .offset(offset) }
        for (partition, end) in ends { positions[partition] = .offset(end) }
        if builder.count > 0 { return .batch(RecordBatch(builder, client: handle)) }
        return ends.isEmpty ? .idle : .ends(ends)
    }

    /// Ends a ``poll(_:)`` that waits, or the next one that would.
    public nonisolated func wake() {
        queue.yield()
    }

    /// Reads an event that says where a partition ends, and frees it.
    ///
    /// - Returns: nil for any other event, which is left as it is.
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

    /// Reads an event that carries no record, and frees it.
    ///
    /// - Returns: nil for what nobody needs to know.
    private func read(_ event: OpaquePointer) -> ConsumerEvent? {
        defer { unsafe rd_kafka_event_destroy(event) }
        switch unsafe rd_kafka_event_type(event) {
        case RD_KAFKA_EVENT_REBALANCE:
            return unsafe rebalance(event)
        case RD_KAFKA_EVENT_ERROR:
            return unsafe .error(handle.error(of: event))
        case RD_KAFKA_EVENT_OFFSET_COMMIT:
            let response = unsafe rd_kafka_event_error(event)
            // There was nothing to commit.
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

    /// Leaves the group: answers what is unanswered by giving everything up, waits for commits under way, and ends.
    /// Commit before it what is to be committed.
    ///
    /// - Returns: whether the group was left within `timeoutMs` milliseconds; if not, the group finds out by itself
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
        // Only now: while the group is being left, every answer means to have nothing, whatever the protocol.
        if unanswered != nil { giveUpAll() }
        while unsafe rd_kafka_consumer_closed(handle.pointer) == 0 {
            let remainingMs = Self.milliseconds(until: deadline)
            if remainingMs <= 0 { return false }
            // Short turns, as the end of closing itself is no event.
            guard let event = unsafe queue.poll(timeoutMs: min(remainingMs, 20)) else { continue }
            let isRebalance = unsafe rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE
            unsafe rd_kafka_event_destroy(event)
            if isRebalance { giveUpAll() }
        }
        return true
    }

    /// Takes what is still in the queue, and answers an assignment by taking none of it: librdkafka 2.0 never ends
    /// closing when it begins while an assignment is unanswered, as it then understands every answer as giving up,
    /// which answers a revocation only. One that comes in the moment between is the deadline's to catch.
    private func settle(until deadline: ContinuousClock.Instant) {
        try? pause(assignment)
        while ContinuousClock.now < deadline, let event = unsafe queue.poll(timeoutMs: 0) {
            if unsafe rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE { unsafe _ = rebalance(event) }
            unsafe rd_kafka_event_destroy(event)
        }
        if unanswered == .assign { try? assign([:]) }
    }

    /// Answers a rebalance, whichever it is, by having nothing.
    private func giveUpAll() {
        unanswered = nil
        unsafe rd_kafka_assign(handle.pointer, nil)
    }
}

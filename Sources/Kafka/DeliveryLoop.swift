internal import Blocking
internal import CRDKafka
internal import Synchronization

/// The producer's thread: receives delivery reports, passes them on, and wakes tasks that wait for space.
final class DeliveryLoop: Sendable {
    /// The number of times that space had become free when a record was tried.
    struct Attempt {
        let roomMade: UInt64
    }

    /// Tags from this number on belong to ``Producer/send``.
    static let firstOwnTag: UInt64 = 1 << 63

    private struct State {
        /// The value of `roomMade` when the queue was last found full.
        var fullAt: UInt64?
        var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
        var nextWaiter: UInt64 = 0
        var senders: [UInt64: CheckedContinuation<DeliveryReport, Never>] = [:]
        var isStopping = false
        var hasStopped = false
        var stopWaiters: [CheckedContinuation<Void, Never>] = []
    }

    private let handle: ClientHandle
    private let queue: ClientQueue
    private let onError: @Sendable (KafkaError) -> Void
    private let onDelivery: @Sendable ([DeliveryReport]) -> Void
    private let state = Mutex(State())
    /// Counts the batches of reports whose records were freed. Written under the lock of `state`; read without it, as
    /// is `isRefusing`, once a record.
    private let roomMade = Atomic<UInt64>(0)
    private let isRefusing = Atomic<Bool>(false)
    private let ownTags = Atomic<UInt64>(firstOwnTag)

    init(
        _ handle: ClientHandle, onError: @escaping @Sendable (KafkaError) -> Void,
        onDelivery: @escaping @Sendable ([DeliveryReport]) -> Void
    ) {
        self.handle = handle
        queue = ClientQueue(mainOf: handle)
        self.onError = onError
        self.onDelivery = onDelivery
    }

    // MARK: the thread

    func start() {
        startThread("kafka-deliver") { self.run() }
    }

    private func run() {
        while !state.withLock({ $0.isStopping }) {
            // The poll ends with an event, or with the yield of `stop()`. librdkafka keeps a yield until the next poll.
            guard let event = unsafe queue.poll(timeoutMs: -1) else { continue }
            switch unsafe rd_kafka_event_type(event) {
            case RD_KAFKA_EVENT_DR: unsafe deliver(event)
            case RD_KAFKA_EVENT_ERROR: unsafe onError(handle.error(of: event))
            default: break
            }
            let isDelivery = unsafe rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR
            // This frees the memory of the records. Only now is there space, and only now may a flush return.
            unsafe rd_kafka_event_destroy(event)
            if isDelivery { noteRoom() }
        }
        finish()
    }

    private func deliver(_ event: OpaquePointer) {
        var reports: [DeliveryReport] = []
        reports.reserveCapacity(unsafe rd_kafka_event_message_count(event))
        var own: [DeliveryReport] = []
        // SAFETY: the messages belong to the event, which the caller keeps until we are done.
        while let message = unsafe rd_kafka_event_message_next(event) {
            let record = unsafe message.pointee
            let report = DeliveryReport(
                tag: UInt64(UInt(bitPattern: unsafe record._private)),
                error: unsafe record.err == RD_KAFKA_RESP_ERR_NO_ERROR ? nil : failure(record.err),
                partition: unsafe record.partition, offset: unsafe record.offset)
            if report.tag < Self.firstOwnTag { reports.append(report) } else { own.append(report) }
        }
        if !reports.isEmpty { onDelivery(reports) }
        for report in own {
            state.withLock { $0.senders.removeValue(forKey: report.tag) }?.resume(returning: report)
        }
    }

    private func failure(_ response: rd_kafka_resp_err_t) -> KafkaError {
        response == RD_KAFKA_RESP_ERR__FATAL ? handle.fatalError ?? KafkaError(response) : KafkaError(response)
    }

    private func finish() {
        let (waiters, senders, stopWaiters) = state.withLock { state in
            state.hasStopped = true
            defer {
                state.waiters = [:]
                state.senders = [:]
                state.stopWaiters = []
            }
            return (state.waiters, state.senders, state.stopWaiters)
        }
        for (tag, sender) in senders {
            sender.resume(
                returning: DeliveryReport(tag: tag, error: .closed("the producer"), partition: -1, offset: -1))
        }
        for waiter in waiters.values { waiter.resume() }
        for waiter in stopWaiters { waiter.resume() }
    }

    // MARK: stopping

    func refuseMore() {
        isRefusing.store(true, ordering: .releasing)
    }

    func stop() {
        refuseMore()
        state.withLock { $0.isStopping = true }
        queue.yield()
    }

    /// Stops the thread and waits for its end.
    func stopped() async {
        stop()
        await withCheckedContinuation { continuation in
            let hasStopped = state.withLock { state in
                if !state.hasStopped { state.stopWaiters.append(continuation) }
                return state.hasStopped
            }
            if hasStopped { continuation.resume() }
        }
    }

    // MARK: room

    /// - Throws: if the producer is closed.
    func attempt() throws(KafkaError) -> Attempt {
        if isRefusing.load(ordering: .acquiring) { throw .closed("the producer") }
        return Attempt(roomMade: roomMade.load(ordering: .acquiring))
    }

    /// Notes that the queue was full for a record tried at `attempt`. If space became free meanwhile, the next wait
    /// returns at once. Otherwise a delivery will follow, because the queue contains records.
    func noteFull(_ attempt: Attempt) {
        state.withLock { $0.fullAt = attempt.roomMade }
    }

    private func noteRoom() {
        let waiters = state.withLock { state in
            roomMade.wrappingAdd(1, ordering: .releasing)
            defer { state.waiters.removeAll(keepingCapacity: true) }
            return state.waiters
        }
        for waiter in waiters.values { waiter.resume() }
    }

    func waitForSpace() async {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    let isMade = state.fullAt != roomMade.load(ordering: .acquiring)
                    if isMade || state.hasStopped || Task.isCancelled { return true }
                    state.waiters[id] = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume()
        }
    }

    // MARK: records that wait for their own report

    func nextOwnTag() -> UInt64 {
        ownTags.wrappingAdd(1, ordering: .relaxed).oldValue
    }

    /// Runs `enqueue`, then suspends until the report with `tag` arrives.
    ///
    /// - Throws: the error of `enqueue`; no report follows then.
    func report(
        for tag: UInt64, _ enqueue: () throws(KafkaError) -> Void
    ) async throws(KafkaError) -> DeliveryReport {
        var refusal: KafkaError?
        let report = await withCheckedContinuation { continuation in
            // Registered first: the report may come before `enqueue` returns.
            state.withLock { $0.senders[tag] = continuation }
            do throws(KafkaError) {
                try enqueue()
            } catch {
                refusal = error
                let mine = state.withLock { $0.senders.removeValue(forKey: tag) }
                mine?.resume(returning: DeliveryReport(tag: tag, error: error, partition: -1, offset: -1))
            }
        }
        if let refusal { throw refusal }
        return report
    }
}

internal import CRDKafka

/// One of a client's queues, held with the client.
// SAFETY: one reference to the queue, given back once in `deinit`, before the client goes; queues are thread-safe.
@safe
final class ClientQueue: @unchecked Sendable {
    let pointer: OpaquePointer
    private let client: ClientHandle

    /// Where a producer's reports and all clients' errors arrive.
    init(mainOf client: ClientHandle) {
        self.client = client
        unsafe pointer = rd_kafka_queue_get_main(client.pointer)
    }

    /// A consumer's records and events, all of them.
    init(consumerOf client: ClientHandle) throws(KafkaError) {
        unsafe rd_kafka_poll_set_consumer(client.pointer)
        guard let pointer = unsafe rd_kafka_queue_get_consumer(client.pointer) else {
            throw KafkaError(RD_KAFKA_RESP_ERR__UNKNOWN_GROUP)
        }
        self.client = client
        unsafe self.pointer = unsafe pointer
    }

    /// A queue of its own, for the answers to one call.
    init(newFor client: ClientHandle) {
        self.client = client
        unsafe pointer = rd_kafka_queue_new(client.pointer)
    }

    deinit {
        unsafe rd_kafka_queue_destroy(pointer)
    }

    /// Takes the next event, which the caller frees.
    ///
    /// - Parameter timeoutMs: milliseconds to block the calling thread at most; −1 for no limit.
    /// - Returns: nil when the time is over or ``yield()`` ended the wait.
    func poll(timeoutMs: Int32) -> OpaquePointer? {
        unsafe rd_kafka_queue_poll(pointer, timeoutMs)
    }

    /// Ends a poll that waits, or the next one that would: it is kept until then.
    func yield() {
        unsafe rd_kafka_queue_yield(pointer)
    }
}

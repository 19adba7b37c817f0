internal import CRDKafka

/// One of a client's queues, held with the client.
// SAFETY: one reference to the queue, given back once in `deinit`, before the client goes; queues are thread-safe.
@safe
final class ClientQueue: @unchecked Sendable {
    let pointer: OpaquePointer
    private let client: ClientHandle

    /// The queue of a producer's reports and of all clients' errors.
    init(mainOf client: ClientHandle) {
        self.client = client
        unsafe pointer = rd_kafka_queue_get_main(client.pointer)
    }

    /// The queue of a consumer's records and events.
    init(consumerOf client: ClientHandle) throws(KafkaError) {
        unsafe rd_kafka_poll_set_consumer(client.pointer)
        guard let pointer = unsafe rd_kafka_queue_get_consumer(client.pointer) else {
            throw KafkaError(RD_KAFKA_RESP_ERR__UNKNOWN_GROUP)
        }
        self.client = client
        unsafe self.pointer = unsafe pointer
    }

    /// A separate queue for the answers to one call.
    init(newFor client: ClientHandle) {
        self.client = client
        unsafe pointer = rd_kafka_queue_new(client.pointer)
    }

    deinit {
        unsafe rd_kafka_queue_destroy(pointer)
    }

    /// Takes the next event. The caller frees it.
    ///
    /// - Parameter timeoutMs: maximum time in milliseconds to block the calling thread; −1 for no limit.
    /// - Returns: nil after the time, or after ``yield()``.
    func poll(timeoutMs: Int32) -> OpaquePointer? {
        unsafe rd_kafka_queue_poll(pointer, timeoutMs)
    }

    /// Ends a waiting poll, or the next poll that would wait.
    func yield() {
        unsafe rd_kafka_queue_yield(pointer)
    }
}

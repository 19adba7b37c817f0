internal import CRDKafka
internal import Synchronization

/// The topic handles of one producer, looked up by name once and kept: a record's way then takes no lock of the
/// client's.
@safe
final class TopicHandles: Sendable {
    // SAFETY: each handle counts one reference, given back once in `deinit`, before the client goes.
    @safe private struct Handles: @unchecked Sendable {
        var byName: [String: OpaquePointer] = unsafe [:]
        /// What was asked for last: the next record mostly goes there too.
        var last: (name: String, handle: OpaquePointer)?
    }

    private let client: ClientHandle
    private let handles = Mutex(Handles())

    init(_ client: ClientHandle) {
        self.client = client
    }

    deinit {
        handles.withLock { handles in
            unsafe handles.byName.values.forEach { unsafe rd_kafka_topic_destroy($0) }
        }
    }

    /// - Throws: for a name that no topic can have.
    func handle(for topic: String) throws(KafkaError) -> OpaquePointer {
        unsafe try handles.withLock { handles throws(KafkaError) in
            if let last = unsafe handles.last, unsafe last.name == topic { return unsafe last.handle }
            if let known = unsafe handles.byName[topic] {
                unsafe handles.last = (topic, known)
                return unsafe known
            }
            guard let handle = unsafe rd_kafka_topic_new(client.pointer, topic, nil) else {
                throw KafkaError(rd_kafka_last_error(), message: "no topic can have this name")
            }
            unsafe handles.byName[topic] = handle
            return unsafe handle
        }
    }
}

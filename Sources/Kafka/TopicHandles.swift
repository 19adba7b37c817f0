internal import CRDKafka
internal import Synchronization

/// The topic handles of one producer. Each is looked up by name once and kept, so producing a record takes no lock of
/// the client.
///
/// A topic's partitioner is librdkafka's `murmur2_random`, called by a function that stores the number of partitions.
/// Callers can therefore compute a record's partition before they send it.
@safe
final class TopicHandles: Sendable {
    /// The number of partitions when a record was last assigned to a partition; 0 before that.
    private final class PartitionCount: Sendable {
        let value = Atomic<Int32>(0)
    }

    // SAFETY: each handle counts one reference, given back once in `deinit`, before the client goes. The counts live as
    // long as the client (see `ClientHandle.keep`), which calls partitioners until it is destroyed.
    @safe private struct Handles: @unchecked Sendable {
        var byName: [String: OpaquePointer] = unsafe [:]
        var counts: [String: PartitionCount] = [:]
        /// The last requested handle, because the next record usually goes to the same topic.
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

    /// - Throws: if Kafka does not allow the name.
    func handle(for topic: String) throws(KafkaError) -> OpaquePointer {
        unsafe try handles.withLock { handles throws(KafkaError) in
            if let last = unsafe handles.last, unsafe last.name == topic { return unsafe last.handle }
            if let known = unsafe handles.byName[topic] {
                unsafe handles.last = (topic, known)
                return unsafe known
            }
            let count = handles.counts[topic] ?? PartitionCount()
            guard let handle = unsafe make(topic, count) else {
                throw KafkaError(rd_kafka_last_error(), message: "Kafka does not allow this topic name")
            }
            client.keep(count)
            handles.counts[topic] = count
            unsafe handles.byName[topic] = handle
            return unsafe handle
        }
    }

    /// The number of partitions of the topic, as far as records were assigned to them.
    func partitions(of topic: String) -> Int? {
        let count = handles.withLock { $0.counts[topic] }?.value.load(ordering: .relaxed) ?? 0
        return count > 0 ? Int(count) : nil
    }

    private func make(_ topic: String, _ count: PartitionCount) -> OpaquePointer? {
        // SAFETY: the copy of the default topic configuration is ours until `rd_kafka_topic_new` takes it, which it
        // does also when it fails. The opaque pointer is read by partitioners only, while `count` lives.
        guard let configuration = unsafe rd_kafka_default_topic_conf_dup(client.pointer) else { return nil }
        unsafe rd_kafka_topic_conf_set_opaque(configuration, Unmanaged.passUnretained(count).toOpaque())
        unsafe rd_kafka_topic_conf_set_partitioner_cb(configuration) { topic, key, size, partitions, opaque, record in
            if let opaque = unsafe opaque {
                let count = unsafe Unmanaged<PartitionCount>.fromOpaque(opaque).takeUnretainedValue()
                if count.value.load(ordering: .relaxed) != partitions {
                    count.value.store(partitions, ordering: .relaxed)
                }
            }
            return unsafe rd_kafka_msg_partitioner_murmur2_random(topic, key, size, partitions, opaque, record)
        }
        return unsafe rd_kafka_topic_new(client.pointer, topic, configuration)
    }
}

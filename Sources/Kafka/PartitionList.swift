internal import CRDKafka
internal import StreamCore

/// One entry of a C partition list.
struct PartitionPosition: Sendable {
    let partition: TopicPartition
    let offset: Int64
    let error: KafkaError?

    init(_ entry: rd_kafka_topic_partition_t) {
        // SAFETY: librdkafka's entries always have a zero-terminated topic, which is copied.
        partition = unsafe TopicPartition(topic: String(cString: entry.topic), partition: entry.partition)
        offset = unsafe entry.offset
        let response = unsafe entry.err
        error = response == RD_KAFKA_RESP_ERR_NO_ERROR ? nil : KafkaError(response, topicPartition: partition)
    }
}

/// Owns an `rd_kafka_topic_partition_list_t`.
@safe
struct PartitionList: ~Copyable {
    // SAFETY: ours alone, freed once in `deinit`; librdkafka copies lists that it keeps.
    let pointer: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>

    init(capacity: Int) {
        unsafe pointer = rd_kafka_topic_partition_list_new(Int32(capacity))
    }

    /// Takes over a list that librdkafka created for the caller.
    init(owning pointer: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>) {
        unsafe self.pointer = unsafe pointer
    }

    init(_ partitions: some Collection<TopicPartition>) {
        self.init(capacity: partitions.count)
        for partition in partitions { append(partition) }
    }

    init(_ offsets: [TopicPartition: Int64]) {
        self.init(capacity: offsets.count)
        for (partition, offset) in offsets { append(partition, offset: offset) }
    }

    deinit {
        unsafe rd_kafka_topic_partition_list_destroy(pointer)
    }

    func append(_ partition: TopicPartition, offset: Int64? = nil) {
        let entry = unsafe rd_kafka_topic_partition_list_add(pointer, partition.topic, partition.partition)
        if let offset { unsafe entry?.pointee.offset = offset }
    }

    var entries: [PartitionPosition] { unsafe Self.entries(of: pointer) }

    /// Copies the entries of a list that librdkafka or another object owns.
    static func entries(of list: UnsafePointer<rd_kafka_topic_partition_list_t>) -> [PartitionPosition] {
        // SAFETY: `elems` has `cnt` entries as long as the list is not changed.
        let elements = unsafe UnsafeBufferPointer(start: list.pointee.elems, count: Int(list.pointee.cnt))
        return unsafe elements.map { unsafe PartitionPosition($0) }
    }
}

internal import CRDKafka
internal import StreamCore

/// A broker in the cluster's metadata.
public struct KafkaBroker: Hashable, Sendable {
    /// The broker's number.
    public let id: Int32
    /// Its host name or address.
    public let host: String
    /// Its TCP port.
    public let port: Int32
}

/// The replication of a topic's partitions.
public struct TopicState: Hashable, Sendable {
    /// Number of partitions.
    public let partitions: Int
    /// Number of replicas of the partition with the fewest.
    public let replicas: Int
    /// Partitions without a leader, which accept no reads or writes at the moment.
    public let withoutLeader: Int
    /// Number of partitions with a replica that is not in sync.
    public let underReplicated: Int

    public init(partitions: Int, replicas: Int, withoutLeader: Int, underReplicated: Int) {
        self.partitions = partitions
        self.replicas = replicas
        self.withoutLeader = withoutLeader
        self.underReplicated = underReplicated
    }
}

/// A position in a partition, for which the brokers return an offset.
public enum PartitionPlace: Hashable, Sendable {
    /// The oldest record of the broker.
    case beginning
    /// The end of the readable records.
    case end
    /// The first record with this timestamp or a later one, in milliseconds since 1970.
    case time(Int64)

    /// The protocol's ListOffsets treats both ends as special timestamps, and librdkafka passes them on unchanged.
    var listOffsetsTime: Int64 {
        switch self {
        case .beginning: Int64(RD_KAFKA_OFFSET_BEGINNING)
        case .end: Int64(RD_KAFKA_OFFSET_END)
        case .time(let milliseconds): max(milliseconds, 0)
        }
    }
}

/// Requests that any client can send to the cluster. Each blocks the calling thread, at most for its timeout.
extension ClientHandle {
    func queryWatermarks(_ partition: TopicPartition, timeoutMs: Int32) throws(KafkaError) -> Watermarks {
        var (low, high) = (Int64(0), Int64(0))
        let response = unsafe rd_kafka_query_watermark_offsets(
            pointer, partition.topic, partition.partition, &low, &high, timeoutMs)
        if response != RD_KAFKA_RESP_ERR_NO_ERROR { throw KafkaError(response, topicPartition: partition) }
        guard low >= 0, high >= 0 else {
            // If a broker answers with an error for the partition, the answer contains no offset.
            throw KafkaError(
                RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE, message: "the broker reports no offsets",
                topicPartition: partition)
        }
        return Watermarks(low: low, high: high)
    }

    /// Returns the offsets of positions in partitions. It leaves out unknown partitions, and those without a record at
    /// or after the time.
    func queryOffsets(
        _ places: [TopicPartition: PartitionPlace], timeoutMs: Int32
    ) throws(KafkaError) -> [TopicPartition: Int64] {
        if places.isEmpty { return [:] }
        let list = PartitionList(places.mapValues(\.listOffsetsTime))
        try KafkaError.check(unsafe rd_kafka_offsets_for_times(pointer, list.pointer, timeoutMs))
        // A partition without a leader is an error. Only unknown partitions are left out.
        for case let error? in list.entries.map(\.error) where !error.isUnknownTopic { throw error }
        let found = list.entries.filter { $0.error == nil && $0.offset >= 0 }
        return Dictionary(found.map { ($0.partition, $0.offset) }) { first, _ in first }
    }

    struct Metadata {
        var brokers: [KafkaBroker] = []
        var topics: [String: [TopicPartition]] = [:]
        /// The same topics.
        var states: [String: TopicState] = [:]
    }

    /// - Parameter topics: nil for all.
    func metadata(timeoutMs: Int32, of topics: [String]?) throws(KafkaError) -> Metadata {
        guard let topics else { return unsafe try metadata(timeoutMs: timeoutMs, allTopics: true, topic: nil) }
        var all = topics.isEmpty ? unsafe try metadata(timeoutMs: timeoutMs, allTopics: false, topic: nil) : Metadata()
        for topic in topics {
            guard let handle = unsafe rd_kafka_topic_new(pointer, topic, nil) else {
                throw KafkaError(rd_kafka_last_error(), message: "Kafka does not allow this topic name")
            }
            // SAFETY: our reference, given back once.
            defer { unsafe rd_kafka_topic_destroy(handle) }
            let one = unsafe try metadata(timeoutMs: timeoutMs, allTopics: false, topic: handle)
            all.brokers = one.brokers
            all.topics.merge(one.topics) { _, new in new }
        }
        return all
    }

    /// Admin requests go to the cluster's controller. Without one, a request would wait until its timeout.
    ///
    /// - Throws: ``KafkaError/isUnsupported`` if the metadata names no controller.
    func checkController(timeoutMs: Int32) throws(KafkaError) {
        let brokers = try metadata(timeoutMs: timeoutMs, of: []).brokers
        let controller = unsafe rd_kafka_controllerid(pointer, 0)
        if brokers.contains(where: { $0.id == controller }) { return }
        throw KafkaError(
            RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE,
            message: "not supported by this broker, because it reports no controller")
    }

    private func metadata(timeoutMs: Int32, allTopics: Bool, topic: OpaquePointer?) throws(KafkaError) -> Metadata {
        var answer: UnsafePointer<rd_kafka_metadata>?
        unsafe try KafkaError.check(rd_kafka_metadata(pointer, allTopics ? 1 : 0, topic, &answer, timeoutMs))
        // SAFETY: the answer is ours to free; its arrays have the lengths that stand beside them, its strings are
        // zero-terminated; all is copied before it is freed.
        guard let answer = unsafe answer else { return Metadata() }
        defer { unsafe rd_kafka_metadata_destroy(answer) }
        var metadata = Metadata()
        unsafe metadata.brokers = UnsafeBufferPointer(
            start: answer.pointee.brokers, count: Int(answer.pointee.broker_cnt)
        ).map { unsafe KafkaBroker(id: $0.id, host: String(cString: $0.host), port: Int32($0.port)) }
        let topics = unsafe UnsafeBufferPointer(start: answer.pointee.topics, count: Int(answer.pointee.topic_cnt))
        for index in 0..<topics.count {
            let topic = unsafe topics[index]
            guard unsafe topic.err == RD_KAFKA_RESP_ERR_NO_ERROR else { continue }
            let name = unsafe String(cString: topic.topic)
            let partitions = unsafe UnsafeBufferPointer(start: topic.partitions, count: Int(topic.partition_cnt))
            metadata.topics[name] = unsafe partitions.map { unsafe TopicPartition(topic: name, partition: $0.id) }
                .sorted()
            metadata.states[name] = unsafe TopicState(
                partitions: partitions.count,
                replicas: partitions.map { unsafe Int($0.replica_cnt) }.min() ?? 0,
                withoutLeader: partitions.count { unsafe $0.leader < 0 },
                underReplicated: partitions.count { unsafe $0.isr_cnt < $0.replica_cnt })
        }
        return metadata
    }
}

internal import Blocking
internal import CRDKafka
public import StreamCore

/// Creates and deletes topics and reads the state of a cluster, for operators and tests. Its calls block separate
/// threads and none of Swift's pool.
public final class KafkaAdmin: Sendable {
    private let configuration: KafkaClientConfiguration
    private let client: ClientHandle
    /// Timeout of all calls in milliseconds.
    private let timeoutMs: Int32

    /// Starts a client. It needs no brokers yet.
    ///
    /// - Parameters:
    ///   - timeoutMs: timeout of each request in milliseconds.
    ///   - countsOpenTransactions: whether the end of a partition includes records of open transactions. Otherwise the
    ///     partition ends before the first such record, as for a consumer.
    /// - Throws: the problem of the configuration.
    public init(
        _ configuration: KafkaClientConfiguration, timeoutMs: Int32 = 10_000, countsOpenTransactions: Bool = false
    ) throws(KafkaError) {
        self.configuration = configuration
        self.timeoutMs = timeoutMs
        let isolation = countsOpenTransactions ? "read_uncommitted" : "read_committed"
        client = try ClientHandle(
            RD_KAFKA_PRODUCER, configuration, defaults: [:], owned: ["isolation.level": isolation], events: 0)
    }

    /// The brokers in the cluster's metadata.
    public func brokers() async throws(KafkaError) -> [KafkaBroker] {
        let (client, timeoutMs) = (client, timeoutMs)
        return try await blocking { () throws(KafkaError) in
            try PersistentQuestion(timeoutMs: timeoutMs).ask { (remainingMs) throws(KafkaError) in
                try client.metadata(timeoutMs: remainingMs, of: []).brokers
            }
        }
    }

    /// The partitions of topics, by topic. Topics that do not exist are left out.
    ///
    /// A cluster that creates topics on demand creates the topics of this request.
    ///
    /// - Parameter topics: nil for all topics of the cluster.
    public func partitions(of topics: [String]? = nil) async throws(KafkaError) -> [String: [TopicPartition]] {
        let (client, timeoutMs) = (client, timeoutMs)
        return try await blocking { () throws(KafkaError) in
            try PersistentQuestion(timeoutMs: timeoutMs).ask { (remainingMs) throws(KafkaError) in
                try client.metadata(timeoutMs: remainingMs, of: topics).topics
            }
        }
    }

    /// The replication of the topics' partitions, by topic.
    public func topicStates() async throws(KafkaError) -> [String: TopicState] {
        let (client, timeoutMs) = (client, timeoutMs)
        return try await blocking { () throws(KafkaError) in
            try PersistentQuestion(timeoutMs: timeoutMs).ask { (remainingMs) throws(KafkaError) in
                try client.metadata(timeoutMs: remainingMs, of: nil).states
            }
        }
    }

    /// The offset range of the partitions. Waits for partitions without a leader.
    public func watermarks(
        of partitions: [TopicPartition]
    ) async throws(KafkaError) -> [TopicPartition: Watermarks] {
        let (client, timeoutMs) = (client, timeoutMs)
        return try await blocking { () throws(KafkaError) in
            var found: [TopicPartition: Watermarks] = [:]
            let question = PersistentQuestion(timeoutMs: timeoutMs)
            for partition in partitions {
                found[partition] = try question.ask { (remainingMs) throws(KafkaError) in
                    try client.queryWatermarks(partition, timeoutMs: remainingMs)
                }
            }
            return found
        }
    }

    /// The ends of the partitions: the offsets up to which records can be read. Uses ``offsets(of:)``.
    ///
    /// - Returns: the known partitions only.
    public func endOffsets(of partitions: [TopicPartition]) async throws(KafkaError) -> [TopicPartition: Int64] {
        try await offsets(of: Dictionary(partitions.map { ($0, .end) }) { first, _ in first })
    }

    /// The offsets of positions in partitions. It sends one request to each broker for all its partitions;
    /// ``watermarks(of:)`` sends one for each partition. Waits for partitions without a leader.
    ///
    /// - Returns: without unknown partitions, and without those that have no record at or after the time.
    public func offsets(
        of places: [TopicPartition: PartitionPlace]
    ) async throws(KafkaError) -> [TopicPartition: Int64] {
        let (client, timeoutMs) = (client, timeoutMs)
        return try await blocking { () throws(KafkaError) in
            try PersistentQuestion(timeoutMs: timeoutMs).ask { (remainingMs) throws(KafkaError) in
                try client.queryOffsets(places, timeoutMs: remainingMs)
            }
        }
    }

    /// A topic's setting on the broker: its own or the default.
    ///
    /// - Returns: nil if the broker has no such setting.
    /// - Throws: ``KafkaError/isUnsupported`` if the cluster does not support the request;
    ///   ``KafkaError/isUnknownTopic``.
    public func setting(_ name: String, of topic: String) async throws(KafkaError) -> String? {
        let (client, timeoutMs) = (client, timeoutMs)
        return try await blocking { () throws(KafkaError) in
            try client.topicSetting(name, of: topic, timeoutMs: timeoutMs)
        }
    }

    /// The committed offsets of a group. Partitions without a commit are left out. It does not join the group.
    public func committed(
        group: String, _ partitions: [TopicPartition]
    ) async throws(KafkaError) -> [TopicPartition: Int64] {
        let consumer = try Consumer(configuration, group: group)
        let result: Result<[TopicPartition: Int64], KafkaError>
        do throws(KafkaError) {
            result = .success(try await consumer.committed(partitions, timeoutMs: timeoutMs))
        } catch {
            result = .failure(error)
        }
        await consumer.close(timeoutMs: timeoutMs)
        return try result.get()
    }

    // MARK: topics

    /// Creates a topic.
    ///
    /// - Parameters:
    ///   - replication: number of replicas of each partition; −1 for the cluster's default.
    ///   - settings: the topic's own settings (`retention.ms`).
    /// - Throws: ``KafkaError/isUnsupported`` if the cluster does not support the request.
    public func createTopic(
        _ name: String, partitions: Int32, replication: Int32 = -1, settings: [String: String] = [:]
    ) async throws(KafkaError) {
        let (client, timeoutMs) = (client, timeoutMs)
        try await blocking { () throws(KafkaError) in
            var reason = [CChar](repeating: 0, count: 512)
            // SAFETY: ours to free; librdkafka copies it for the request.
            var topic = unsafe rd_kafka_NewTopic_new(name, partitions, replication, &reason, reason.count)
            guard unsafe topic != nil else {
                throw KafkaError(RD_KAFKA_RESP_ERR__INVALID_ARG, message: String(zeroTerminated: reason))
            }
            defer { unsafe rd_kafka_NewTopic_destroy(topic) }
            for (setting, value) in settings {
                try KafkaError.check(unsafe rd_kafka_NewTopic_set_config(topic, setting, value))
            }
            unsafe try client.askForTopics(timeoutMs: timeoutMs, RD_KAFKA_ADMIN_OP_CREATETOPICS) { options, queue in
                unsafe rd_kafka_CreateTopics(client.pointer, &topic, 1, options, queue)
            }
        }
    }

    /// Deletes a topic and all its records.
    ///
    /// - Throws: ``KafkaError/isUnsupported`` if the cluster does not support the request;
    ///   ``KafkaError/isUnknownTopic``.
    public func deleteTopic(_ name: String) async throws(KafkaError) {
        let (client, timeoutMs) = (client, timeoutMs)
        try await blocking { () throws(KafkaError) in
            // SAFETY: ours to free; librdkafka copies it for the request.
            var topic = unsafe rd_kafka_DeleteTopic_new(name)
            defer { unsafe rd_kafka_DeleteTopic_destroy(topic) }
            unsafe try client.askForTopics(timeoutMs: timeoutMs, RD_KAFKA_ADMIN_OP_DELETETOPICS) { options, queue in
                unsafe rd_kafka_DeleteTopics(client.pointer, &topic, 1, options, queue)
            }
        }
    }

    /// Adds partitions to a topic.
    ///
    /// - Parameter total: the new number of partitions.
    /// - Throws: ``KafkaError/isUnsupported`` if the cluster does not support the request;
    ///   ``KafkaError/isUnknownTopic``.
    public func addPartitions(to name: String, total: Int) async throws(KafkaError) {
        let (client, timeoutMs) = (client, timeoutMs)
        try await blocking { () throws(KafkaError) in
            var reason = [CChar](repeating: 0, count: 512)
            // SAFETY: ours to free; librdkafka copies it for the request.
            var partitions = unsafe rd_kafka_NewPartitions_new(name, total, &reason, reason.count)
            guard unsafe partitions != nil else {
                throw KafkaError(RD_KAFKA_RESP_ERR__INVALID_ARG, message: String(zeroTerminated: reason))
            }
            defer { unsafe rd_kafka_NewPartitions_destroy(partitions) }
            unsafe try client.askForTopics(timeoutMs: timeoutMs, RD_KAFKA_ADMIN_OP_CREATEPARTITIONS) { options, queue in
                unsafe rd_kafka_CreatePartitions(client.pointer, &partitions, 1, options, queue)
            }
        }
    }

    private func blocking<Value: Sendable>(
        _ call: @escaping @Sendable () throws(KafkaError) -> Value
    ) async throws(KafkaError) -> Value {
        let result = await onOwnThread("kafka-admin") { () -> Result<Value, KafkaError> in
            do throws(KafkaError) { return .success(try call()) } catch { return .failure(error) }
        }
        return try result.get()
    }
}

extension ClientHandle {
    /// Sends a request about one topic and waits for its answer.
    fileprivate func askForTopics(
        timeoutMs: Int32, _ operation: rd_kafka_admin_op_t,
        _ send: (_ options: OpaquePointer, _ queue: OpaquePointer) -> Void
    ) throws(KafkaError) {
        try checkController(timeoutMs: timeoutMs)
        let queue = ClientQueue(newFor: self)
        guard let options = unsafe rd_kafka_AdminOptions_new(pointer, operation) else {
            throw KafkaError(RD_KAFKA_RESP_ERR__INVALID_ARG)
        }
        // SAFETY: options and events are ours to free; results and their strings live as long as the event.
        defer { unsafe rd_kafka_AdminOptions_destroy(options) }
        var reason = [CChar](repeating: 0, count: 512)
        unsafe rd_kafka_AdminOptions_set_request_timeout(options, timeoutMs, &reason, reason.count)
        unsafe rd_kafka_AdminOptions_set_operation_timeout(options, timeoutMs, &reason, reason.count)
        unsafe send(options, queue.pointer)
        guard let event = unsafe queue.poll(timeoutMs: timeoutMs + 1_000) else {
            throw KafkaError(RD_KAFKA_RESP_ERR__TIMED_OUT)
        }
        defer { unsafe rd_kafka_event_destroy(event) }
        let response = unsafe rd_kafka_event_error(event)
        if response != RD_KAFKA_RESP_ERR_NO_ERROR {
            let error = unsafe KafkaError(response, message: String(cString: rd_kafka_event_error_string(event)))
            throw error.isUnsupported ? KafkaError(response, message: "not supported by this broker") : error
        }
        var count = 0
        let topics =
            switch operation {
            case RD_KAFKA_ADMIN_OP_CREATETOPICS:
                unsafe rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count)
            case RD_KAFKA_ADMIN_OP_CREATEPARTITIONS:
                unsafe rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(event), &count)
            default:
                unsafe rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count)
            }
        for index in 0..<count {
            guard let topic = unsafe topics?[index] else { continue }
            let response = unsafe rd_kafka_topic_result_error(topic)
            if response == RD_KAFKA_RESP_ERR_NO_ERROR { continue }
            let message = unsafe rd_kafka_topic_result_error_string(topic).map { unsafe String(cString: $0) }
            throw KafkaError(response, message: message)
        }
    }
}

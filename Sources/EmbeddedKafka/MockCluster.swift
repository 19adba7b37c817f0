internal import CRDKafka

/// librdkafka's mock of a Kafka cluster. It speaks the real protocol on ports of 127.0.0.1 and stores all data in the
/// memory of this process, until this object is released. Use it for tests and `millrace dev`, never for data that must
/// be kept.
///
/// It keeps about 5 MiB and 100,000 record sets for each partition. It creates unknown topics on request, with four
/// partitions, and does not support admin requests.
// SAFETY: the client owns the cluster, which locks itself; both are freed once, in `deinit`.
@safe
public final class MockCluster: @unchecked Sendable {
    private let client: OpaquePointer
    private let cluster: OpaquePointer

    /// `host:port` of all brokers, separated by commas.
    public let bootstrapServers: String

    /// Starts the cluster.
    ///
    /// - Parameter brokers: the number of brokers. Their ids are 1, 2, ….
    /// - Throws: if the process has no threads or ports left.
    public init(brokers: Int32 = 1) throws(MockClusterError) {
        // SAFETY: the client takes the configuration if it is created; otherwise it is ours to free. Without a log
        // callback, log lines would go to standard error.
        let configuration = unsafe rd_kafka_conf_new()
        unsafe rd_kafka_conf_set_log_cb(configuration, nil)
        var reason = [CChar](repeating: 0, count: 256)
        // Its connections send each answer at once, like a real broker. Otherwise the kernel would delay a small answer
        // until the previous one is acknowledged, which the client's kernel does after 40 ms.
        _ = unsafe rd_kafka_conf_set(configuration, "socket.nagle.disable", "true", &reason, reason.count)
        guard let client = unsafe rd_kafka_new(RD_KAFKA_PRODUCER, configuration, &reason, reason.count) else {
            unsafe rd_kafka_conf_destroy(configuration)
            let message = String(decoding: reason.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            throw MockClusterError(message: message)
        }
        guard let cluster = unsafe rd_kafka_mock_cluster_new(client, brokers) else {
            unsafe rd_kafka_destroy(client)
            throw MockClusterError(message: "the mock cluster could not be started")
        }
        unsafe self.client = unsafe client
        unsafe self.cluster = unsafe cluster
        // SAFETY: lives as long as the cluster; copied.
        bootstrapServers = unsafe String(cString: rd_kafka_mock_cluster_bootstraps(cluster))
    }

    deinit {
        unsafe rd_kafka_mock_cluster_destroy(cluster)
        unsafe rd_kafka_destroy(client)
    }

    /// Creates a topic.
    ///
    /// - Throws: also if the topic exists already.
    public func createTopic(_ name: String, partitions: Int32, replication: Int32 = 1) throws(MockClusterError) {
        try check(unsafe rd_kafka_mock_topic_create(cluster, name, partitions, replication))
    }
}

// MARK: - Faults

/// The kinds of request that faults can be injected into, by Kafka's API keys.
public enum KafkaRequest: Int16, Sendable {
    case produce = 0
    case fetch = 1
    case listOffsets = 2
    case metadata = 3
    case offsetCommit = 8
    case offsetFetch = 9
    case findCoordinator = 10
    case joinGroup = 11
    case heartbeat = 12
    case leaveGroup = 13
    case syncGroup = 14
    case apiVersions = 18
    case initProducerID = 22
}

extension MockCluster {
    /// Answers the next requests of a kind with these error codes of the Kafka protocol, one code for each request. 0
    /// answers a request normally.
    public func pushRequestErrors(_ request: KafkaRequest, _ codes: [Int32]) {
        let errors = codes.map { rd_kafka_resp_err_t($0) }
        // SAFETY: the codes are copied.
        unsafe rd_kafka_mock_push_request_errors_array(cluster, request.rawValue, errors.count, errors)
    }

    /// Removes the unused errors of a kind of request.
    public func clearRequestErrors(_ request: KafkaRequest) {
        unsafe rd_kafka_mock_clear_request_errors(cluster, request.rawValue)
    }

    /// Makes all brokers return an error for a topic in their metadata: Kafka's error code, or 0 for none.
    public func setTopicError(_ topic: String, _ code: Int32) {
        // SAFETY: the cluster lives as long as this object, and the name is only borrowed.
        unsafe rd_kafka_mock_topic_set_error(cluster, topic, rd_kafka_resp_err_t(code))
    }

    /// Delays every answer of a broker by this time.
    public func setRoundTripTime(broker: Int32, milliseconds: Int32) throws(MockClusterError) {
        try check(unsafe rd_kafka_mock_broker_set_rtt(cluster, broker, milliseconds))
    }

    /// Closes a broker's connections and accepts no new ones.
    public func setBrokerDown(_ broker: Int32) throws(MockClusterError) {
        try check(unsafe rd_kafka_mock_broker_set_down(cluster, broker))
    }

    /// Lets a broker accept connections again.
    public func setBrokerUp(_ broker: Int32) throws(MockClusterError) {
        try check(unsafe rd_kafka_mock_broker_set_up(cluster, broker))
    }

    /// Moves a partition's leadership; −1 leaves it without a leader.
    public func setPartitionLeader(topic: String, partition: Int32, broker: Int32) throws(MockClusterError) {
        try check(unsafe rd_kafka_mock_partition_set_leader(cluster, topic, partition, broker))
    }

    /// Moves a consumer group's coordinator.
    public func setCoordinator(group: String, broker: Int32) throws(MockClusterError) {
        try check(unsafe rd_kafka_mock_coordinator_set(cluster, "group", group, broker))
    }

    private func check(_ response: rd_kafka_resp_err_t) throws(MockClusterError) {
        if response != RD_KAFKA_RESP_ERR_NO_ERROR {
            throw MockClusterError(message: unsafe String(cString: rd_kafka_err2str(response)))
        }
    }
}

/// The reason why the mock cluster failed.
public struct MockClusterError: Error, CustomStringConvertible {
    public let message: String
    public var description: String { "mock cluster: \(message)" }
}

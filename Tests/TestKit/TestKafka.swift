public import EmbeddedKafka
internal import Foundation
public import Kafka
internal import Synchronization

/// The Kafka cluster of a test process: the one of `KAFKA_BOOTSTRAP_SERVERS`, or a mock cluster that is created at the
/// first use. All tests share it and use different names of topics and groups.
public enum TestKafka {
    private static let givenServers: String? = {
        let servers = ProcessInfo.processInfo.environment["KAFKA_BOOTSTRAP_SERVERS"]
        return servers?.isEmpty == false ? servers : nil
    }()

    private static let sharedMock = Result<MockCluster, MockClusterError> { () throws(MockClusterError) in
        try MockCluster()
    }

    /// Whether the cluster is the mock, which lacks the features that its documentation lists.
    public static var isMock: Bool { givenServers == nil }

    /// The configuration for the cluster, with group timeouts that are short enough for tests.
    ///
    /// - Parameter properties: further properties of librdkafka. They override the short timeouts.
    public static func clientConfiguration(
        properties: [String: String] = [:]
    ) throws -> KafkaClientConfiguration {
        configuration(for: try givenServers ?? sharedMock.get().bootstrapServers, properties)
    }

    /// The configuration for a private cluster of a test.
    public static func clientConfiguration(
        for cluster: MockCluster, properties: [String: String] = [:]
    ) -> KafkaClientConfiguration {
        configuration(for: cluster.bootstrapServers, properties)
    }

    private static func configuration(
        for servers: String, _ properties: [String: String]
    ) -> KafkaClientConfiguration {
        var short = [
            "session.timeout.ms": "6000",
            "heartbeat.interval.ms": "500",
            "reconnect.backoff.ms": "20",
            "reconnect.backoff.max.ms": "200",
        ]
        // The mock answers a fetch only when this time is over. A broker answers as soon as there is a record.
        if isMock { short["fetch.wait.max.ms"] = "20" }
        return KafkaClientConfiguration(
            bootstrapServers: servers, clientID: "millrace-tests",
            properties: short.merging(properties) { _, given in given })
    }

    /// Runs a test with its own topics, and deletes them if the cluster supports that.
    ///
    /// - Parameters:
    ///   - count: number of topics.
    ///   - partitions: number of partitions of each topic.
    ///   - settings: settings of the topics, such as `max.message.bytes`. The mock has none and accepts every record.
    ///   - body: receives the names of the topics.
    public static func withTopics<Result>(
        _ count: Int = 1, partitions: Int32 = 1, settings: [String: String] = [:],
        _ body: ([String]) async throws -> Result
    ) async throws -> Result {
        let names = (0..<count).map { _ in uniqueName("topic") }
        return try await withTopics(named: names, partitions: partitions, settings: settings) { try await body(names) }
    }

    /// Runs a test with topics of these names, which no other test uses, and deletes them if the cluster supports that.
    public static func withTopics<Result>(
        named names: [String], partitions: Int32, settings: [String: String] = [:],
        _ body: () async throws -> Result
    ) async throws -> Result {
        try await TestSlots.hold {
            if isMock {
                for name in names { try sharedMock.get().createTopic(name, partitions: partitions) }
                return try await body()
            }
            let admin = try KafkaAdmin(clientConfiguration())
            for name in names { try await admin.createTopic(name, partitions: partitions, settings: settings) }
            let result: Swift.Result<Result, any Error>
            do { result = .success(try await body()) } catch { result = .failure(error) }
            for name in names { try await admin.deleteTopic(name) }
            return try result.get()
        }
    }

    /// Runs a test with a private mock cluster, in which it can inject errors.
    public static func withPrivateCluster<Result>(
        brokers: Int32 = 1, _ body: (MockCluster, KafkaClientConfiguration) async throws -> Result
    ) async throws -> Result {
        try await TestSlots.hold {
            let cluster = try MockCluster(brokers: brokers)
            defer { withExtendedLifetime(cluster) {} }
            return try await body(cluster, clientConfiguration(for: cluster))
        }
    }

    /// A name for topics and groups that no other test and no other run uses.
    public static func uniqueName(_ what: String) -> String {
        "millrace-test-\(what)-\(UUID().uuidString.lowercased())"
    }
}

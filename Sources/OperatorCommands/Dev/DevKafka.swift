internal import EmbeddedKafka
internal import Foundation
internal import Kafka

/// The Kafka of a `millrace dev`: a mock cluster of its own, or the one that the environment names.
struct DevKafka: Sendable {
    let bootstrapServers: String
    /// Held while the session lives; nil when the user's cluster is used.
    private let mock: MockCluster?

    /// What the shop's events go to.
    static let topics = ["order-events", "payment-events", "shipment-events"]
    /// What reads them all.
    static let projections = ["order-summary", "dashboard"]
    /// Where dead letters go, and come back from.
    private static let deadLetterTopics = projections.flatMap { ["dlq.\($0)", "retry.\($0)"] }

    /// The same name means the same offsets.
    var cluster: String { isMock ? "mock" : bootstrapServers }

    /// Whether it started empty with this session, and ends with it.
    var isMock: Bool { mock != nil }

    /// Finds or starts it, with the topics there.
    static func start(partitions: Int32) async throws -> DevKafka {
        let named = ProcessInfo.processInfo.environment["KAFKA_BOOTSTRAP_SERVERS"] ?? ""
        guard named.isEmpty else {
            let kafka = DevKafka(bootstrapServers: named, mock: nil)
            try await kafka.createTopics(partitions: partitions)
            return kafka
        }
        let mock = try MockCluster()
        for topic in topics + deadLetterTopics { try mock.createTopic(topic, partitions: partitions) }
        return DevKafka(bootstrapServers: mock.bootstrapServers, mock: mock)
    }

    private func createTopics(partitions: Int32) async throws {
        let admin = try KafkaAdmin(
            KafkaClientConfiguration(bootstrapServers: bootstrapServers, clientID: "millrace-dev"))
        let present = try await admin.partitions()
        for topic in Self.topics + Self.deadLetterTopics where present[topic] == nil {
            do {
                try await admin.createTopic(topic, partitions: partitions)
            } catch {
                guard error.isUnsupported else { throw error }
                StandardError.write("millrace: the cluster makes no topics on request; \(topic) is left to it\n")
            }
        }
    }
}

internal import Catalog
internal import EmbeddedKafka
internal import Foundation
internal import Kafka
internal import SQLProjections

/// The Kafka of a `millrace dev`: a mock cluster or a broker of its own, or the cluster that the environment names.
struct DevKafka: Sendable {
    private enum Server {
        /// Starts empty with the session, and ends with it.
        case mock(MockCluster)
        /// Keeps its records in the session's folder.
        case broker(BrokerServer)
        case users
    }

    let bootstrapServers: String
    /// The same name means the same offsets.
    let cluster: String
    private let server: Server

    /// Those that the daemons read and write.
    private static func topics(_ projections: [ProjectionFolder], _ more: [String]) -> [String] {
        var topics = Catalog.eventTopics + Catalog.letterTopics
        for topic in projections.flatMap({ $0.topics + $0.letterTopics }) + more where !topics.contains(topic) {
            topics.append(topic)
        }
        return topics
    }

    /// Whether it started empty with this session, and ends with it.
    var isMock: Bool { if case .mock = server { true } else { false } }

    /// Finds or starts it, with the topics there.
    ///
    /// - Parameters:
    ///   - projections: folders of SQL that are run too.
    ///   - more: further topics.
    ///   - partitions: of each topic that is made.
    ///   - usesBroker: whether it is a broker in `folder`, where the environment names no cluster.
    ///   - folder: the session's.
    static func start(
        _ projections: [ProjectionFolder], more: [String], partitions: Int32, usesBroker: Bool, in folder: DevFolder
    ) async throws -> DevKafka {
        let topics = topics(projections, more)
        let environment = ProcessInfo.processInfo.environment
        if let named = environment["KAFKA_BOOTSTRAP_SERVERS"], !named.isEmpty {
            let kafka = DevKafka(bootstrapServers: named, cluster: named, server: .users)
            try await kafka.create(topics, partitions: partitions)
            return kafka
        }
        guard usesBroker else {
            let mock = try MockCluster()
            for topic in topics { try mock.createTopic(topic, partitions: partitions) }
            return DevKafka(bootstrapServers: mock.bootstrapServers, cluster: "mock", server: .mock(mock))
        }
        let broker = try await BrokerServer.start(
            program: BrokerServer.findProgram(in: environment), folder: folder.brokerFolder)
        let kafka = DevKafka(
            bootstrapServers: broker.bootstrapServers, cluster: try folder.brokerIdentity(), server: .broker(broker))
        do {
            try await kafka.create(topics, partitions: partitions)
        } catch {
            await kafka.stop()
            throw error
        }
        return kafka
    }

    /// Stops what was started.
    func stop() async {
        if case .broker(let broker) = server { await broker.stop() }
    }

    private func create(_ topics: [String], partitions: Int32) async throws {
        let admin = try KafkaAdmin(
            KafkaClientConfiguration(bootstrapServers: bootstrapServers, clientID: "millrace-dev"))
        let present = try await admin.partitions()
        for topic in topics where present[topic] == nil {
            do {
                try await admin.createTopic(topic, partitions: partitions)
            } catch {
                guard error.isUnsupported else { throw error }
                StandardError.write(
                    "millrace: the cluster refuses to create the topic \(topic), so it must exist or be created automatically\n"
                )
            }
        }
    }
}

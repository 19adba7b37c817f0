internal import Catalog
internal import CommandSupport
internal import EmbeddedKafka
internal import Foundation
internal import Kafka
internal import SQLProjections

/// The Kafka of `millrace dev`: a mock cluster, a private broker, or the cluster that the environment specifies.
struct DevKafka: Sendable {
    private enum Server {
        /// It starts empty with the session, and ends with it.
        case mock(MockCluster)
        /// It stores its records in the session's folder.
        case broker(BrokerServer)
        case users
    }

    let bootstrapServers: String
    /// The name of the cluster. With the same name, offsets stay valid.
    let cluster: String
    private let server: Server

    /// The topics that the daemons read and write.
    private static func topics(_ projections: [ProjectionFolder], _ more: [String]) -> [String] {
        var topics = Catalog.eventTopics + Catalog.letterTopics
        for topic in projections.flatMap({ $0.topics + $0.letterTopics }) + more where !topics.contains(topic) {
            topics.append(topic)
        }
        return topics
    }

    /// Whether it is a mock cluster.
    var isMock: Bool { if case .mock = server { true } else { false } }

    /// Finds or starts the cluster, and creates missing topics.
    ///
    /// - Parameters:
    ///   - projections: folders of SQL projections that run too.
    ///   - more: additional topics.
    ///   - partitions: the number of partitions of each new topic.
    ///   - usesBroker: whether to run a private broker if the environment specifies no cluster.
    ///   - folder: the folder of the session.
    ///   - stop: ends the start of a private broker, which may have much to read.
    static func start(
        _ projections: [ProjectionFolder], more: [String], partitions: Int32, usesBroker: Bool, in folder: DevFolder,
        until stop: StopRequest
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
            program: BrokerServer.findProgram(in: environment), folder: folder.brokerFolder,
            isWanted: { !stop.isRequested })
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

    /// Stops the private broker, if there is one.
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

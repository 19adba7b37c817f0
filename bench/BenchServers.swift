import EmbeddedKafka
import EmbeddedPostgres
import Foundation
import Kafka
import Migrations
import Postgres
import StreamCore
import Synchronization

/// The servers of a bench: a private PostgreSQL with default durability, and the Kafka cluster. Each bench has new
/// ones.
final class BenchServers: Sendable {
    /// The mock cluster keeps 5 MiB of stored data for each partition. This number of partitions holds the events of
    /// the largest bench.
    static let manyPartitions: Int32 = 24
    /// The number of partitions for benches that read no old records. At each fetch of a partition, the mock cluster
    /// searches for the offset in all batches that it keeps, even for an offset at the end. With one minute of small
    /// batches in many partitions, this uses a quarter of a processor. A real broker has an index.
    static let fewPartitions: Int32 = 2

    /// The number of partitions of each topic.
    let partitions: Int32
    let postgres: PostgresConfiguration
    let kafka: KafkaClientConfiguration
    /// The suffix of every topic's name, so that a real cluster can be used repeatedly.
    let topicSuffix: String

    /// The seed of all random choices of a bench.
    let seed: UInt64
    private let server: PostgresServer
    private let mock: MockCluster?
    private let broker: RestartableBroker?
    private let admin: KafkaAdmin
    private let folder: URL
    private let made = Mutex<[String]>([])

    /// Starts the servers, and creates the schema and the topics. The caller must call ``stop()`` at the end.
    ///
    /// - Parameters:
    ///   - partitions: the number of partitions of each topic.
    ///   - onBroker: whether Kafka is a separate broker process instead of the mock cluster.
    ///   - seed: the seed of all random choices of a bench.
    static func start(partitions: Int32, onBroker: Bool = false, seed: UInt64 = 1) async throws -> BenchServers {
        let servers = try await BenchServers(partitions, onBroker, seed)
        do {
            try await servers.prepare()
        } catch {
            await servers.stop()
            throw error
        }
        return servers
    }

    private init(_ partitions: Int32, _ onBroker: Bool, _ seed: UInt64) async throws {
        self.partitions = partitions
        self.seed = seed
        let run = String(UInt64.random(in: 0...UInt64.max), radix: 36)
        folder = FileManager.default.temporaryDirectory.appending(path: "millrace-bench-\(run)")
        server = try await PostgresServer.start(
            PostgresServerConfiguration(
                folder: folder.path,
                // The setting is large enough for the complete text of the longest statements.
                settings: ["track_activity_query_size": "16kB"], tcp: .freePort, isTemporary: true))
        var postgres = try PostgresConfiguration(url: server.url)
        postgres.searchedFirst = ["order_summary_v1", "dashboard_v1"]
        self.postgres = postgres
        if let cluster = ProcessInfo.processInfo.environment["KAFKA_BOOTSTRAP_SERVERS"], !cluster.isEmpty {
            mock = nil
            broker = nil
            topicSuffix = "-events-bench-\(run)"
            kafka = KafkaClientConfiguration(bootstrapServers: cluster)
        } else if onBroker {
            mock = nil
            let own = try await RestartableBroker(folder: folder.appending(path: "kafka").path)
            broker = own
            topicSuffix = "-events"
            kafka = KafkaClientConfiguration(bootstrapServers: own.bootstrapServers)
        } else {
            let cluster = try MockCluster()
            mock = cluster
            broker = nil
            topicSuffix = "-events"
            kafka = KafkaClientConfiguration(
                bootstrapServers: cluster.bootstrapServers, properties: Self.mockProperties)
        }
        admin = try KafkaAdmin(kafka)
    }

    /// The mock cluster answers an empty fetch only after the maximum wait. It also delays the first member of a group
    /// to wait for other members.
    static let mockProperties = [
        "session.timeout.ms": "6000", "heartbeat.interval.ms": "500", "fetch.wait.max.ms": "1",
    ]

    /// A configuration to fill topics. The mock cluster limits the compressed size of a partition.
    var kafkaCompressed: KafkaClientConfiguration {
        var configuration = kafka
        configuration.properties["compression.type"] = "lz4"
        return configuration
    }

    var topics: [String] { ["order", "payment", "shipment"].map { $0 + topicSuffix } }

    /// Whether ``killBroker()`` can be called.
    var hasOwnBroker: Bool { broker != nil }

    /// Waits until the broker has written to its files everything that it has acknowledged so far.
    func waitUntilBrokerHasWritten() async throws {
        guard let broker else { throw BenchError("the broker was not started by this bench") }
        let now = Date()
        try await wait("writing broker", within: .seconds(30)) { await broker.lastWrite() ?? .distantPast > now }
    }

    /// Kills the broker.
    func killBroker() async { await broker?.kill() }

    /// Starts the broker again on the same port with the same data.
    func startBroker() async throws { try await broker?.start() }

    private func prepare() async throws {
        try await makeTopics(topics)
        try await Migrator(postgres).up(["outbox", "orders", "projections", "order-summary", "dead-letters"])
    }

    /// Creates topics that are removed together with the servers.
    func makeTopics(_ topics: [String]) async throws {
        made.withLock { $0 += topics }
        for topic in topics {
            if let mock {
                try mock.createTopic(topic, partitions: partitions)
            } else {
                try await admin.createTopic(topic, partitions: partitions)
            }
        }
        // A new topic's partitions may have no leaders yet.
        let wanted = topics.flatMap { topic in
            (0..<partitions).map { TopicPartition(topic: topic, partition: $0) }
        }
        try await wait("leaders of \(topics.joined(separator: ", "))", within: .seconds(30)) {
            (try? await admin.watermarks(of: wanted)) != nil
        }
    }

    /// Removes the topics and stops the servers.
    func stop() async {
        if mock == nil {
            for topic in made.withLock({ $0 }) { try? await admin.deleteTopic(topic) }
        }
        await broker?.stop()
        await server.stop(.immediate)
    }

    var allPartitions: [TopicPartition] {
        topics.flatMap { topic in (0..<partitions).map { TopicPartition(topic: topic, partition: $0) } }
    }

    /// The database's URL for libpq.
    var databaseURL: String { server.url }

    /// The offset after the last record of each partition.
    func ends() async throws -> [TopicPartition: Int64] {
        try await admin.watermarks(of: allPartitions).mapValues(\.high)
    }

    /// The number of records that were written to the topics so far.
    func recordsProduced() async throws -> Int64 {
        try await ends().values.reduce(0, +)
    }

    /// The number of records that were written to a topic of this bench so far.
    func recordsProduced(to topic: String) async throws -> Int64 {
        let all = (0..<partitions).map { TopicPartition(topic: topic, partition: $0) }
        return try await admin.watermarks(of: all).values.reduce(0) { $0 + $1.high }
    }

    /// Starts a daemon on these servers.
    func start(_ daemon: String, settings: [String: String] = [:]) throws -> DaemonProcess {
        let file = folder.appending(path: "\(daemon).toml")
        try Data().write(to: file)
        // The daemon chooses a free port, so it cannot collide with another run on the machine.
        var all = [
            "postgres.url": server.url, "kafka.bootstrap_servers": kafka.bootstrapServers, "operations.port": "0",
        ]
        for (name, value) in kafka.properties { all["kafka.properties.\(name)"] = value }
        all.merge(settings) { _, own in own }
        return try DaemonProcess(daemon, configuration: file, settings: all)
    }

    /// Starts an operator's command.
    func millrace(_ arguments: String...) throws -> DaemonProcess {
        try DaemonProcess("millrace", arguments: arguments + endpointArguments)
    }

    /// The arguments with which an operator's command connects to the servers.
    var endpointArguments: [String] {
        ["--database", server.url, "--bootstrap-servers", kafka.bootstrapServers]
            + kafka.properties.flatMap { ["--kafka", "\($0.key)=\($0.value)"] }
    }

    /// Waits until `condition` is true. It is checked every `pause`.
    ///
    /// - Throws: if the condition is not true within `limit`.
    func wait(
        _ what: String, within limit: Duration, every pause: Duration = .milliseconds(5),
        _ condition: () async throws -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + limit
        while try await !condition() {
            guard ContinuousClock.now < deadline else { throw BenchError("no \(what) within \(limit)") }
            try await Task.sleep(for: pause)
        }
    }
}

/// A broker that can be stopped, and started again with the same port and data.
private actor RestartableBroker {
    private let program: String
    private let folder: String
    private let port: Int
    private var server: BrokerServer?
    nonisolated let bootstrapServers: String

    init(folder: String) async throws {
        self.folder = folder
        program = try BrokerServer.findProgram(in: ProcessInfo.processInfo.environment)
        let first = try await BrokerServer.start(program: program, folder: folder)
        (port, bootstrapServers) = (first.port, first.bootstrapServers)
        server = first
    }

    func start() async throws {
        server = try await BrokerServer.start(program: program, folder: folder, port: port)
    }

    func lastWrite() -> Date? { server?.lastWrite() }

    func kill() async {
        await server?.kill()
        server = nil
    }

    func stop() async {
        await server?.stop()
        server = nil
    }
}

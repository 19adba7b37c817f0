import EmbeddedKafka
import EmbeddedPostgres
import Foundation
import Kafka
import Migrations
import Postgres
import StreamCore
import Synchronization

/// What a bench runs on: a private PostgreSQL with default durability, and the cluster. Made anew for each bench.
final class BenchServers: Sendable {
    /// The mock cluster keeps 5 MiB a partition, as stored: so many partitions hold the events of the largest bench.
    static let manyPartitions: Int32 = 24
    /// Where nothing old is read. The mock looks for an offset, also for one at the end, by walking all the batches of
    /// records that it keeps, at every fetch of every partition: a minute of small ones in many partitions costs it a
    /// quarter of a processor. A broker has an index.
    static let fewPartitions: Int32 = 2

    /// Of each topic.
    let partitions: Int32
    let postgres: PostgresConfiguration
    let kafka: KafkaClientConfiguration
    /// Ends every topic's name, so that a real cluster can be used again and again.
    let topicSuffix: String

    /// What is random in a bench follows from it.
    let seed: UInt64
    private let server: PostgresServer
    private let mock: MockCluster?
    private let broker: RestartableBroker?
    private let admin: KafkaAdmin
    private let folder: URL
    private let made = Mutex<[String]>([])

    /// Starts the servers, and makes schema and topics. Whoever calls it calls ``stop()`` in the end.
    ///
    /// - Parameters:
    ///   - partitions: of each topic.
    ///   - onBroker: whether Kafka is a broker's own process instead of the mock cluster.
    ///   - seed: what is random in a bench follows from it.
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
                // The longest statements must be seen whole.
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

    /// The mock cluster lets an empty fetch sleep as long as it may, and a group's first member wait for others.
    static let mockProperties = [
        "session.timeout.ms": "6000", "heartbeat.interval.ms": "500", "fetch.wait.max.ms": "1",
    ]

    /// For filling topics: what the mock cluster keeps of a partition is bounded as it was sent.
    var kafkaCompressed: KafkaClientConfiguration {
        var configuration = kafka
        configuration.properties["compression.type"] = "lz4"
        return configuration
    }

    var topics: [String] { ["order", "payment", "shipment"].map { $0 + topicSuffix } }

    /// Whether ``killBroker()`` can be called.
    var hasOwnBroker: Bool { broker != nil }

    /// Waits until the broker has written to its files what it has acknowledged until now.
    func waitUntilBrokerHasWritten() async throws {
        guard let broker else { throw BenchError("the broker is not this bench's own") }
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

    /// Makes topics that are removed with the servers.
    func makeTopics(_ topics: [String]) async throws {
        made.withLock { $0 += topics }
        for topic in topics {
            if let mock {
                try mock.createTopic(topic, partitions: partitions)
            } else {
                try await admin.createTopic(topic, partitions: partitions)
            }
        }
        // Right after a cluster has made a topic, its partitions may have no leaders yet.
        let wanted = topics.flatMap { topic in
            (0..<partitions).map { TopicPartition(topic: topic, partition: $0) }
        }
        try await wait("leaders of \(topics.joined(separator: ", "))", within: .seconds(30)) {
            (try? await admin.watermarks(of: wanted)) != nil
        }
    }

    /// Removes all of it.
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

    /// libpq's URL of the database.
    var databaseURL: String { server.url }

    /// The offset behind the last record of each partition.
    func ends() async throws -> [TopicPartition: Int64] {
        try await admin.watermarks(of: allPartitions).mapValues(\.high)
    }

    /// How many records the topics have had so far.
    func recordsProduced() async throws -> Int64 {
        try await ends().values.reduce(0, +)
    }

    /// How many records a topic of this bench has had so far.
    func recordsProduced(to topic: String) async throws -> Int64 {
        let all = (0..<partitions).map { TopicPartition(topic: topic, partition: $0) }
        return try await admin.watermarks(of: all).values.reduce(0) { $0 + $1.high }
    }

    /// Starts a daemon on these servers.
    func start(_ daemon: String, settings: [String: String] = [:]) throws -> DaemonProcess {
        let file = folder.appending(path: "\(daemon).toml")
        try Data().write(to: file)
        // Any port, so that another run on the machine does not take it.
        var all = [
            "postgres.url": server.url, "kafka.bootstrap_servers": kafka.bootstrapServers, "operations.port": "0",
        ]
        for (name, value) in kafka.properties { all["kafka.properties.\(name)"] = value }
        all.merge(settings) { _, own in own }
        return try DaemonProcess(daemon, configuration: file, settings: all)
    }

    /// Starts a command of the operators.
    func millrace(_ arguments: String...) throws -> DaemonProcess {
        try DaemonProcess("millrace", arguments: arguments + endpointArguments)
    }

    /// The arguments with which a command of the operators finds the servers.
    var endpointArguments: [String] {
        ["--database", server.url, "--bootstrap-servers", kafka.bootstrapServers]
            + kafka.properties.flatMap { ["--kafka", "\($0.key)=\($0.value)"] }
    }

    /// Waits until `condition` holds, looking every `pause`.
    ///
    /// - Throws: when it does not hold within `limit`.
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

/// A broker that can be stopped, and started again where it was.
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

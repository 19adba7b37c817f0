import EmbeddedKafka
import EmbeddedPostgres
import Foundation
import Kafka
import Logging
import Migrations
import Postgres
import Projections
import StreamCore
import Synchronization
import TestKit
import Testing

/// The environment of a projection under test: topics, a schema, and the events that were produced.
final class Ledger: Sendable {
    struct Row: Equatable {
        var sum: Int64 = 0
        var count: Int64 = 0
        var lastSequence: Int64 = 0
        var disorders: Int64 = 0
    }

    let topics: [String]
    let postgres: PostgresConfiguration
    let kafka: KafkaClientConfiguration
    let name = TestKafka.uniqueName("projection")
    private let producer: Producer
    private let state = Mutex(State())

    private struct State {
        var sequences: [String: Int64] = [:]
        var produced: [LedgerEvent] = []
        var ends: [TopicPartition: Int64] = [:]
    }

    init(topics: [String], postgres: PostgresConfiguration, kafka: KafkaClientConfiguration) async throws {
        self.topics = topics
        self.postgres = postgres
        self.kafka = kafka
        producer = try Producer(kafka, onDelivery: { _ in })
        let connection = try await PostgresConnection.connect(postgres)
        try await connection.execute(script: LedgerProjection.schema)
        await connection.close()
    }

    /// Creates topics on the shared cluster and a schema on the shared server.
    static func with(
        topics count: Int = 1, partitions: Int32 = 4, topicSettings: [String: String] = [:],
        _ body: (Ledger) async throws -> Void
    ) async throws {
        try await TestKafka.withTopics(count, partitions: partitions, settings: topicSettings) { topics in
            try await TestDatabase.withSchema(migrating: ["projections"]) { postgres in
                try await body(
                    Ledger(topics: topics, postgres: postgres, kafka: TestKafka.clientConfiguration()))
            }
        }
    }

    /// Creates a topic on a private mock cluster, in which the test can inject failures.
    static func withPrivateCluster(
        partitions: Int32 = 4, _ body: (Ledger, MockCluster) async throws -> Void
    ) async throws {
        try await TestKafka.withPrivateCluster { cluster, kafka in
            let topic = TestKafka.uniqueName("topic")
            try cluster.createTopic(topic, partitions: partitions)
            try await TestDatabase.withSchema(migrating: ["projections"]) { postgres in
                try await body(Ledger(topics: [topic], postgres: postgres, kafka: kafka), cluster)
            }
        }
    }

    /// Starts a private server, which the test can restart or reach through a proxy.
    static func withPrivateServer(
        tcp: PostgresServerConfiguration.TCP = .none, _ body: (Ledger, PostgresServer) async throws -> Void
    ) async throws {
        try await TestKafka.withTopics(partitions: 4) { topics in
            try await TestDatabase.withPrivateServer(tcp: tcp) { server, postgres in
                try await Migrator(postgres).up(["projections"])
                try await body(
                    Ledger(topics: topics, postgres: postgres, kafka: TestKafka.clientConfiguration()), server)
            }
        }
    }

    // MARK: producing

    /// The next event of this key.
    func next(_ key: String, amount: Int64 = 1) -> LedgerEvent {
        state.withLock { state in
            let sequence = state.sequences[key, default: 0] + 1
            state.sequences[key] = sequence
            return LedgerEvent(key: key, sequence: sequence, amount: amount)
        }
    }

    /// Produces events and waits for their acknowledgements. Each key always goes to the same topic.
    func produce(_ events: [LedgerEvent]) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            let byKey = Dictionary(grouping: events, by: \.key)
            for (key, events) in byKey {
                group.addTask { for event in events { try await self.produce(key: key, event.wire) } }
            }
            try await group.waitForAll()
        }
        state.withLock { $0.produced += events }
    }

    /// Produces events with random amounts for the keys `k0`, `k1` and so on.
    func produce(count: Int, keys: Int) async throws {
        try await produce((0..<count).map { next("k\($0 % keys)", amount: .random(in: 0...1_000)) })
    }

    @discardableResult
    func produce(
        key: String, _ value: [UInt8]?, headers: [RecordHeader] = [], through other: Producer? = nil
    ) async throws -> TopicPartition {
        let topic = topics[abs(key.utf8.reduce(0) { $0 &* 31 &+ Int($1) }) % topics.count]
        let report = try await (other ?? producer).send(
            topic: topic, key: Array(key.utf8), value: value, headers: headers)
        let partition = TopicPartition(topic: topic, partition: report.partition)
        state.withLock { $0.ends[partition] = max($0.ends[partition] ?? 0, report.offset + 1) }
        return partition
    }

    /// Finds a key whose events go to another partition. To learn the partitions, it produces records without events.
    func keyElsewhere(than key: String) async throws -> String {
        let taken = try await produce(key: key, [])
        for index in 0..<1_000 {
            let other = "elsewhere\(index)"
            if try await produce(key: other, []) != taken { return other }
        }
        throw CancellationError()
    }

    // MARK: running

    func projection(_ change: (inout LedgerProjection) -> Void = { _ in }) -> LedgerProjection {
        var projection = LedgerProjection(name: name, topics: topics)
        change(&projection)
        return projection
    }

    func configuration(
        service: String = "test", _ change: (inout ProjectionRunnerConfiguration) -> Void = { _ in }
    ) -> ProjectionRunnerConfiguration {
        var configuration = ProjectionRunnerConfiguration(service: service)
        configuration.backoffCeilingMs = 500
        configuration.batchMaxRecords = 100
        change(&configuration)
        return configuration
    }

    func runner(
        _ projection: LedgerProjection? = nil, _ configuration: ProjectionRunnerConfiguration? = nil,
        postgres: PostgresConfiguration? = nil, kafka other: KafkaClientConfiguration? = nil,
        kafkaProperties: [String: String] = [:], observer: Observer? = nil, log: RecordedLog? = nil
    ) -> ProjectionRunner<LedgerProjection> {
        var kafka = other ?? kafka
        kafka.properties.merge(kafkaProperties) { _, given in given }
        return ProjectionRunner(
            projection: projection ?? self.projection(), configuration: configuration ?? self.configuration(),
            postgres: postgres ?? self.postgres, kafka: kafka,
            logger: log?.logger ?? Self.logger, observer: observer)
    }

    static let logger: Logger = {
        var logger = Logger(label: "test")
        let isLoud = ProcessInfo.processInfo.environment["TEST_LOG"] != nil
        logger.logLevel = isLoud ? .debug : .critical
        return logger
    }()

    // MARK: checking

    /// Whether PostgreSQL shows that all events produced so far are applied.
    func isCaughtUp() async throws -> Bool {
        remaining(try await status()).isEmpty
    }

    /// Number of offsets of each partition that are not applied yet.
    func remaining(_ status: ProjectionStatus.Entry?) -> [TopicPartition: Int64] {
        ProjectionCatchUp(endOffsets: state.withLock { $0.ends }).remaining(status)
    }

    func status() async throws -> ProjectionStatus.Entry? {
        try await withConnection { try await ProjectionStatus.load($0) }.entry(name: name, version: 1)
    }

    func caughtUp() async throws {
        try await eventually { try await isCaughtUp() }
    }

    func withConnection<Result>(_ body: (PostgresConnection) async throws -> Result) async throws -> Result {
        let connection = try await PostgresConnection.connect(postgres)
        let result: Swift.Result<Result, any Error>
        do { result = .success(try await body(connection)) } catch { result = .failure(error) }
        await connection.close()
        return try result.get()
    }

    func rows() async throws -> [String: Row] {
        try await withConnection { connection in
            let result = try await connection.execute("SELECT key, sum, count, last_sequence, disorders FROM ledger")
            var rows: [String: Row] = [:]
            for row in 0..<result.rowCount {
                rows[try result.string(row, 0)] = Row(
                    sum: try result.int64(row, 1), count: try result.int64(row, 2),
                    lastSequence: try result.int64(row, 3), disorders: try result.int64(row, 4))
            }
            return rows
        }
    }

    /// The expected rows if each produced event took effect once and in order.
    func expectedRows() -> [String: Row] {
        var rows: [String: Row] = [:]
        var seen: Set<EventID> = []
        for event in state.withLock({ $0.produced }) where seen.insert(event.id).inserted {
            rows[event.key, default: Row()].sum += event.amount
            rows[event.key, default: Row()].count += 1
            rows[event.key, default: Row()].lastSequence = max(event.sequence, rows[event.key]?.lastSequence ?? 0)
        }
        return rows
    }

    func expectExact(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let rows = try await rows()
        let expected = expectedRows()
        #expect(!expected.isEmpty, sourceLocation: sourceLocation)
        #expect(rows == expected, sourceLocation: sourceLocation)
    }
}

/// Runs projections while `body` runs, then stops them gracefully.
func running(
    _ runners: ProjectionRunner<LedgerProjection>..., body: () async throws -> Void
) async throws {
    let tasks = runners.map { runner in Task { try await runner.run() } }
    let result: Result<Void, any Error>
    do { result = .success(try await body()) } catch { result = .failure(error) }
    for task in tasks { task.cancel() }
    for task in tasks { try await task.value }
    try result.get()
}

/// Records what a runner reports about its partitions.
final class Observer: ProjectionObserver {
    struct State {
        var turns = 0
        /// Number of reports of a partition's position.
        var standings = 0
        var standing: [TopicPartition: (next: Int64, end: Int64?)] = [:]
        var stopped: [StoppedPartition] = []
        var released: [TopicPartition] = []
        var held: [TopicPartition: Set<PartitionHold>] = [:]
        var everHeld: Set<TopicPartition> = []
        var databaseProblem: String?
        /// Whether the group has assigned partitions.
        var isAssigned = false
    }

    private let state = Mutex(State())

    var now: State { state.withLock { $0 } }

    func loopTurned() { state.withLock { $0.turns += 1 } }
    func assignmentBegan() { state.withLock { $0.isAssigned = true } }
    func assignmentEnded() { state.withLock { $0.isAssigned = false } }
    func partition(_ partition: TopicPartition, isAt next: Int64, of end: Int64?) {
        state.withLock {
            $0.standing[partition] = (next, end)
            $0.standings += 1
        }
    }
    func partitionStopped(_ stopped: StoppedPartition) { state.withLock { $0.stopped.append(stopped) } }
    func partition(_ partition: TopicPartition, isHeldBy hold: PartitionHold, because reason: String) {
        state.withLock {
            $0.held[partition, default: []].insert(hold)
            $0.everHeld.insert(partition)
        }
    }
    func partition(_ partition: TopicPartition, isNoLongerHeldBy hold: PartitionHold) {
        state.withLock { _ = $0.held[partition]?.remove(hold) }
    }
    func databaseFailing(because reason: String) { state.withLock { $0.databaseProblem = reason } }
    func databaseRecovered() { state.withLock { $0.databaseProblem = nil } }
    func partitionReleased(_ partition: TopicPartition) { state.withLock { $0.released.append(partition) } }
}

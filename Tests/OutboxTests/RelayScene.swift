import Foundation
import Kafka
import Logging
import Outbox
import Postgres
import StreamCore
import Synchronization
import TestKit
import Testing

/// Runs a relay while `body` runs, then stops it gracefully.
func withRelay<Result: Sendable>(
    _ configuration: OutboxRelayConfiguration, _ postgres: PostgresConfiguration, _ kafka: KafkaClientConfiguration,
    limits: Live<RelayLimits>? = nil,
    onProgress: @escaping @Sendable (RelayProgress) -> Void = { _ in }, _ body: () async throws -> Result
) async throws -> Result {
    var postgres = postgres
    postgres.applicationName = "relay-\(postgres.schema)"
    let relay = OutboxRelay(
        configuration: configuration, postgres: postgres, kafka: kafka, logger: testLogger, limits: limits,
        onProgress: onProgress)
    return try await withThrowingTaskGroup { group in
        group.addTask { try await relay.run() }
        let result = try await body()
        group.cancelAll()
        try await group.waitForAll()
        return result
    }
}

/// An outbox in its own schema, a service that writes into it, and topics with a reader.
struct RelayScene: Sendable {
    let postgres: PostgresConfiguration
    let kafka: KafkaClientConfiguration
    let topics: [String]
    let service: Service
    let reader: Reader
    /// The first topic.
    var topic: String { topics[0] }

    /// - Parameters:
    ///   - set: the migrations of the schema.
    ///   - partitions: number of partitions of each topic.
    static func run(
        migrating set: String = "outbox", topics count: Int = 1, partitions: Int32 = 1,
        settings: [String: String] = [:], _ body: (RelayScene) async throws -> Void
    ) async throws {
        try await TestDatabase.withSchema(migrating: [set]) { postgres in
            try await TestKafka.withTopics(count, partitions: partitions, settings: settings) { topics in
                let kafka = try TestKafka.clientConfiguration()
                let reader = try await Reader(kafka, topics, partitions: partitions)
                try await body(
                    RelayScene(
                        postgres: postgres, kafka: kafka, topics: topics, service: try await Service(postgres),
                        reader: reader))
                await reader.close()
            }
        }
    }

    /// Runs a relay while `body` runs, then stops it gracefully.
    func withRelay<Result: Sendable>(
        _ configuration: OutboxRelayConfiguration,
        onProgress: @escaping @Sendable (RelayProgress) -> Void = { _ in }, _ body: () async throws -> Result
    ) async throws -> Result {
        try await OutboxTests.withRelay(configuration, postgres, kafka, onProgress: onProgress, body)
    }
}

let testLogger: Logger = {
    var logger = Logger(label: "relay")
    logger.logLevel = ProcessInfo.processInfo.environment["MILLRACE_TEST_LOG"] == nil ? .critical : .debug
    return logger
}()

/// A configuration in which the aggregate type is the topic name, with short intervals.
func quickConfiguration() -> OutboxRelayConfiguration {
    var configuration = OutboxRelayConfiguration()
    configuration.topicSuffix = ""
    configuration.electionIntervalMs = 50
    configuration.unblockIntervalMs = 20
    // The sweep is rare, so tests find their rows by polling and not by the sweep.
    configuration.sweepIntervalMs = 600_000
    return configuration
}

/// The mock cluster does not check the sequence of an idempotent producer's batches, as brokers do. Tests that inject
/// produce errors therefore allow only one request at a time, which keeps the order.
func withFaults(_ kafka: KafkaClientConfiguration) -> KafkaClientConfiguration {
    var kafka = kafka
    kafka.properties["max.in.flight.requests.per.connection"] = "1"
    kafka.properties["retry.backoff.ms"] = "20"
    return kafka
}

/// A service that writes events to the outbox.
struct Service {
    let connection: PostgresConnection

    init(_ postgres: PostgresConfiguration) async throws {
        connection = try await PostgresConnection.connect(postgres)
    }

    /// Commits events of one key with these sequences in one transaction.
    func commit(_ topic: String, _ key: String, _ sequences: ClosedRange<Int64>, payload: String = "{}") async throws {
        try await connection.execute(Self.insert, Self.parameters(topic, key, sequences, payload))
    }

    static let insert: Statement = """
        INSERT INTO outbox (event_type, aggregate_type, aggregate_id, sequence, payload)
        SELECT 'Tested', $1, $2, number, $5::json FROM generate_series($3::bigint, $4::bigint) AS number
        """

    static func parameters(
        _ topic: String, _ key: String, _ sequences: ClosedRange<Int64>, _ payload: String = "{}"
    ) -> Parameters {
        Parameters {
            $0.append(topic)
            $0.append(key)
            $0.append(sequences.lowerBound)
            $0.append(sequences.upperBound)
            $0.append(payload)
        }
    }

    func count(_ condition: String = "true", in table: String = "outbox") async throws -> Int64 {
        try await connection.execute(.unprepared("SELECT count(*) FROM \(table) WHERE \(condition)")).int64(0, 0)
    }

    /// Ends the relay sessions that hold the lock of a shard.
    func terminateLeader(in postgres: PostgresConfiguration) async throws {
        try await terminate(
            "pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND granted)",
            postgres)
    }

    /// Ends all sessions of the relays.
    func terminateAll(in postgres: PostgresConfiguration) async throws {
        try await terminate("true", postgres)
    }

    private func terminate(_ condition: String, _ postgres: PostgresConfiguration) async throws {
        try await connection.execute(
            .unprepared(
                """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE application_name = 'relay-\(postgres.schema)' AND \(condition)
                """))
    }
}

/// A record as a consumer sees it.
struct PublishedRecord: Sendable {
    let partition: Int32
    let key: String
    let value: String?
    let headers: [String: String]
    /// The names of all headers, with duplicates, in their order.
    let headerNames: [String]
    let timestampMs: Int64

    /// The sequence in the envelope; −1 if there is none.
    var sequence: Int64 {
        let object = value.flatMap { try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] }
        return (object?["sequence"] as? NSNumber)?.int64Value ?? -1
    }
}

/// Reads all partitions of topics from the beginning, as far as a test asks.
actor Reader {
    private let consumer: Consumer
    private(set) var records: [PublishedRecord] = []

    init(_ kafka: KafkaClientConfiguration, _ topics: [String], partitions: Int32) async throws {
        consumer = try Consumer(kafka, group: TestKafka.uniqueName("group"))
        var offsets: [TopicPartition: StartOffset] = [:]
        for topic in topics {
            for partition in 0..<partitions {
                offsets[TopicPartition(topic: topic, partition: partition)] = .beginning
            }
        }
        try await consumer.assign(offsets)
    }

    /// Reads one more batch, if there is one.
    func poll() async throws {
        guard case .batch(let batch) = try await consumer.poll(BatchLimits(maxWaitMs: 20)) else { return }
        for view in batch {
            var headers: [String: String] = [:]
            var names: [String] = []
            for header in view.headers {
                names.append(header.name)
                headers[header.name] = header.value.map { String(decoding: $0, as: UTF8.self) } ?? "NULL"
            }
            records.append(
                PublishedRecord(
                    partition: view.topicPartition.partition, key: text(view.key) ?? "NULL", value: text(view.value),
                    headers: headers, headerNames: names, timestampMs: view.timestampMs ?? -1))
        }
    }

    private func text(_ span: Span<UInt8>?) -> String? {
        guard let span else { return nil }
        return String(decoding: span.indices.map { span[$0] }, as: UTF8.self)
    }

    /// Reads until the first `count` sequences of each key have come.
    func readSequences(
        _ counts: [String: Int64], sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        try await eventually(sourceLocation: sourceLocation) {
            try await self.poll()
            let first = self.firstOccurrences
            return counts.allSatisfy { key, count in Int64(first[key]?.count ?? 0) >= count }
        }
        let first = firstOccurrences
        for (key, count) in counts {
            #expect(first[key] == Array(1...count), "order of \(key)", sourceLocation: sourceLocation)
        }
    }

    /// The sequences of each key in the order of their first publication.
    var firstOccurrences: [String: [Int64]] {
        var seen: [String: Set<Int64>] = [:]
        var order: [String: [Int64]] = [:]
        for record in records where seen[record.key, default: []].insert(record.sequence).inserted {
            order[record.key, default: []].append(record.sequence)
        }
        return order
    }

    /// The sequences of each key in the order of their last publication.
    var lastOccurrences: [String: [Int64]] {
        var seen: [String: Set<Int64>] = [:]
        var order: [String: [Int64]] = [:]
        for record in records.reversed() where seen[record.key, default: []].insert(record.sequence).inserted {
            order[record.key, default: []].append(record.sequence)
        }
        return order.mapValues { $0.reversed() }
    }

    func close() async {
        _ = await consumer.close(timeoutMs: 5_000)
    }
}

/// The progress reports of a relay.
final class Told: Sendable {
    private let state = Mutex<[RelayProgress]>([])
    var all: [RelayProgress] { state.withLock { $0 } }
    func append(_ progress: RelayProgress) { state.withLock { $0.append(progress) } }
}

extension OutboxFailures {
    /// Retries a row as an operator does after the cause is removed.
    func retry(
        _ id: Int64, on connection: PostgresConnection, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let retried = try await change(
            .retry, .init(ids: [id]), by: .init(actor: "mara", reason: "corrected"), on: connection)
        #expect(retried == [id], sourceLocation: sourceLocation)
    }
}

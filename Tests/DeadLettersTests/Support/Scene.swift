import DeadLetters
import Foundation
import Kafka
import Logging
import Postgres
import StreamCore
import TestKit
import Testing

let testLogger: Logger = {
    var logger = Logger(label: "dead-letters")
    logger.logLevel = ProcessInfo.processInfo.environment["MILLRACE_TEST_LOG"] == nil ? .critical : .debug
    return logger
}()

/// A consumer of Millrace with its topics, an empty database, and a producer for records that the tests write
/// themselves.
struct Scene: Sendable {
    let consumer: String
    let foreignTopic: String
    let originalTopic: String
    let postgres: PostgresConfiguration
    let kafka: KafkaClientConfiguration
    let producer: Producer
    let database: PostgresConnection

    var letterTopic: String { "dlq.\(consumer)" }
    var retryTopic: String { "retry.\(consumer)" }

    static func run(partitions: Int32 = 1, _ body: (Scene) async throws -> Void) async throws {
        let consumer = TestKafka.uniqueName("consumer")
        let foreign = TestKafka.uniqueName("foreign")
        let original = TestKafka.uniqueName("original")
        let topics = ["dlq.\(consumer)", "retry.\(consumer)", foreign, original]
        try await TestDatabase.withSchema(migrating: ["projections", "dead-letters"]) { postgres in
            try await TestKafka.withTopics(named: topics, partitions: partitions) {
                let kafka = try TestKafka.clientConfiguration()
                let scene = Scene(
                    consumer: consumer, foreignTopic: foreign, originalTopic: original, postgres: postgres,
                    kafka: kafka, producer: try Producer(kafka) { _ in },
                    database: try await PostgresConnection.connect(postgres))
                try await body(scene)
                await scene.producer.close(timeoutMs: 5_000)
                await scene.database.close()
            }
        }
    }

    var configuration: DeadLetterHandlerConfiguration {
        var configuration = DeadLetterHandlerConfiguration(consumers: [consumer], service: consumer)
        configuration.foreignTopics = [.init(foreignTopic)]
        configuration.policies = []
        configuration.pollIntervalMs = 20
        configuration.electionIntervalMs = 50
        configuration.statisticsIntervalMs = 100
        configuration.topicHoldMs = 200
        return configuration
    }

    /// Runs a handler while `body` runs, then stops it gracefully.
    func withHandler(
        _ change: (inout DeadLetterHandlerConfiguration) -> Void = { _ in }, handlers: Int = 1,
        _ body: () async throws -> Void
    ) async throws {
        var configuration = configuration
        change(&configuration)
        var postgres = postgres
        postgres.applicationName = "handler-\(postgres.schema)"
        let handler = DeadLetterHandler(
            configuration: configuration, postgres: postgres, kafka: kafka, logger: testLogger)
        try await withThrowingTaskGroup { group in
            for _ in 0..<handlers { group.addTask { try await handler.run() } }
            try await body()
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    // MARK: the database

    func number(_ question: String) async throws -> Int64 {
        try await database.execute(.unprepared(question)).int64(0, 0)
    }

    func text(_ question: String) async throws -> [String] {
        let rows = try await database.execute(.unprepared(question))
        return try (0..<rows.rowCount).map { row in
            try (0..<rows.columnCount).map { try rows.optionalString(row, $0) ?? "NULL" }.joined(separator: " ")
        }
    }

    func execute(_ script: String) async throws { try await database.execute(script: script) }

    /// Waits until exactly `count` letters fulfil the condition.
    func waitFor(_ count: Int64, _ condition: String) async throws {
        do {
            try await eventually {
                try await number("SELECT count(*) FROM dead_letters WHERE \(condition)") == count
            }
        } catch {
            let letters = try await text(
                "SELECT state, reason, error_class, delivery::text, message FROM dead_letters ORDER BY letter_id")
            throw Complaint(description: "not \(count) of \(condition): \(letters.prefix(20))")
        }
    }

    struct Complaint: Error, CustomStringConvertible { let description: String }
}

/// A letter as a consumer writes it.
struct ConsumerLetter: Sendable {
    var reason = "failed"
    var key: String?
    var value: String? = "{}"
    var offset: Int64
    var partition: Int32 = 0
    var topic = "order-events"
    var delivery = 1
    var errorClass: String? = "invalid_json"
    var message: String? = "no JSON"
    var order = "key"
    var headers: [RecordHeader] = [RecordHeader(name: "event-type", value: Array("OrderCreated".utf8))]

    func recordHeaders(_ consumer: String) -> [RecordHeader] {
        var all = headers
        func add(_ name: String, _ value: String?) {
            if let value { all.append(RecordHeader(name: name, value: Array(value.utf8))) }
        }
        add("__dlq.errors.topic", topic)
        add("__dlq.errors.partition", String(partition))
        add("__dlq.errors.offset", String(offset))
        add("__dlq.errors.group", "millrace.\(consumer).v1")
        add("__dlq.errors.delivery.count", String(delivery))
        add("millrace.consumer", consumer)
        add("millrace.reason", reason)
        if reason == "discarded" { add("millrace.row", "kept") }
        if reason == "failed" || reason == "blocked" {
            add("__dlq.errors.message", reason == "failed" ? message : nil)
            add("millrace.order", order)
        }
        if reason == "failed" {
            add("millrace.stage", "decode")
            add("millrace.error.class", errorClass)
        }
        return all
    }
}

extension Scene {
    func send(_ letter: ConsumerLetter) async throws {
        let isAnswer = letter.reason == "resolved" || letter.reason == "discarded"
        try await producer.send(
            topic: letterTopic, key: letter.key.map { Array($0.utf8) },
            value: isAnswer ? nil : letter.value.map { Array($0.utf8) }, headers: letter.recordHeaders(consumer))
    }
}

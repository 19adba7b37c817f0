import DeadLetters
import Kafka
import StreamCore
import TestKit
import Testing

/// A retry record as a consumer sees it.
struct RetryRecord: Sendable, Equatable {
    let key: String?
    let value: String?
    let offset: Int64
    let delivery: Int
    let action: String
    let headers: [String: String]
}

/// Acts as a consumer in the protocol: it has parked events, reads its retry topic and answers.
actor PlayedConsumer {
    private let scene: Scene
    private let consumer: Consumer
    /// The offsets of parked events, by key.
    private var parked: [String: [Int64]] = [:]
    /// The error class of each broken event, by offset.
    private var broken: [Int64: String] = [:]
    private(set) var received: [RetryRecord] = []
    /// The offsets of applied events in order of application, by key.
    private(set) var applied: [String: [Int64]] = [:]

    init(_ scene: Scene, partitions: Int32 = 1) async throws {
        self.scene = scene
        consumer = try Consumer(scene.kafka, group: TestKafka.uniqueName("group"))
        var offsets: [TopicPartition: StartOffset] = [:]
        for partition in 0..<partitions {
            offsets[TopicPartition(topic: scene.retryTopic, partition: partition)] = .beginning
        }
        try await consumer.assign(offsets)
    }

    /// Parks an event. The first event of a key fails, and later ones are blocked.
    func park(_ key: String, _ offset: Int64, errorClass: String = "invalid_json", message: String = "no JSON")
        async throws
    {
        let isFirst = parked[key, default: []].isEmpty
        parked[key, default: []].append(offset)
        if isFirst { broken[offset] = errorClass }
        try await scene.send(
            ConsumerLetter(
                reason: isFirst ? "failed" : "blocked", key: key, value: "value \(offset)", offset: offset,
                errorClass: errorClass, message: message))
    }

    /// From now on all events can be applied.
    func repair() { broken = [:] }

    /// Reads one more batch, if there is one, and answers.
    func poll(answering: Bool = true) async throws {
        guard case .batch(let batch) = try await consumer.poll(BatchLimits(maxWaitMs: 20)) else { return }
        for view in batch {
            var headers: [String: String] = [:]
            for header in view.headers {
                headers[header.name] = header.value.map { String(decoding: $0, as: UTF8.self) } ?? "NULL"
            }
            let record = RetryRecord(
                key: text(view.key), value: text(view.value), offset: Int64(headers["__dlq.errors.offset"] ?? "") ?? -1,
                delivery: Int(headers["__dlq.errors.delivery.count"] ?? "") ?? -1,
                action: headers["millrace.action"] ?? "", headers: headers)
            received.append(record)
            if answering { try await answer(record) }
        }
    }

    private func answer(_ record: RetryRecord) async throws {
        let key = record.key ?? ""
        var letter = ConsumerLetter(
            reason: "resolved", key: record.key, value: record.value, offset: record.offset, delivery: record.delivery)
        let rows = parked[key, default: []]
        if record.action == "discard" {
            parked[key] = rows.filter { $0 != record.offset }
            letter.reason = "discarded"
        } else if let first = rows.first, first < record.offset {
            letter.reason = "blocked"
        } else if let errorClass = broken[record.offset] {
            letter.reason = "failed"
            letter.errorClass = errorClass
        } else {
            if rows.contains(record.offset) { applied[key, default: []].append(record.offset) }
            parked[key] = rows.filter { $0 != record.offset }
        }
        try await scene.send(letter)
    }

    /// Reads and answers until the condition holds.
    func play(answering: Bool = true, until condition: () async throws -> Bool) async throws {
        try await eventually {
            try await poll(answering: answering)
            return try await condition()
        }
    }

    func close() async { _ = await consumer.close(timeoutMs: 5_000) }

    private func text(_ span: Span<UInt8>?) -> String? {
        guard let span else { return nil }
        return String(decoding: span.indices.map { span[$0] }, as: UTF8.self)
    }
}

import DeadLetters
import Foundation
import Kafka
import StreamCore
import TestKit
import Testing

/// One key with many letters. With MILLRACE_MANY_LETTERS in the environment, it has 100,000.
@Suite struct HotKeyTests {
    private static let letters: Int64 =
        ProcessInfo.processInfo.environment["MILLRACE_MANY_LETTERS"] == nil ? 20_000 : 100_000

    /// The first letter fails several times, and no other letter is sent. Then all letters are sent once and in order.
    @Test func theFirstIsTriedAloneAndTheRestFlows() async throws {
        try await Scene.run { scene in
            try await fill(scene)
            let reader = try Consumer(scene.kafka, group: TestKafka.uniqueName("group"))
            try await reader.assign([TopicPartition(topic: scene.retryTopic, partition: 0): .beginning])
            var received: [Int64] = []
            let answer = { (reason: (Int) -> String) in
                guard case .batch(let batch) = try await reader.poll(BatchLimits(maxRecords: 5_000, maxWaitMs: 20))
                else { return }
                for view in batch {
                    func number(_ name: String) -> Int64 {
                        let text = view.header(named: name)?.value.map { String(decoding: $0, as: UTF8.self) }
                        return text.flatMap { Int64($0) } ?? -1
                    }
                    let offset = number("__dlq.errors.offset")
                    received.append(offset)
                    let letter = ConsumerLetter(
                        reason: reason(received.count), key: "hot", offset: offset,
                        delivery: Int(number("__dlq.errors.delivery.count")))
                    try await post(letter, scene)
                }
            }
            var took = Duration.zero
            try await scene.withHandler {
                for attempt in 1...3 {
                    try await scene.execute("UPDATE dead_letters SET next_attempt_at = now() WHERE origin_offset = 1")
                    try await eventually {
                        try await answer { _ in "failed" }
                        return try await scene.number(
                            "SELECT attempts::bigint FROM dead_letters WHERE origin_offset = 1") == attempt
                    }
                }
                #expect(received == [1, 1, 1])
                received = []
                let start = ContinuousClock.now
                try await scene.execute("UPDATE dead_letters SET next_attempt_at = now() WHERE origin_offset = 1")
                try await eventually {
                    try await answer { _ in "resolved" }
                    return try await scene.number(
                        "SELECT coalesce(sum(pending + retrying), 0)::bigint FROM dead_letter_groups") == 0
                }
                took = .now - start
            }
            #expect(received == Array(1...Self.letters))
            let perSecond = Double(Self.letters) / (took / .seconds(1))
            print("\(Self.letters) letters of one key: \(took), \(Int(perSecond)) a second")
            _ = await reader.close(timeoutMs: 5_000)
        }
    }

    private func fill(_ scene: Scene) async throws {
        try await scene.execute(
            """
            INSERT INTO dead_letters (
                consumer, consumer_group, origin_topic, origin_partition, origin_offset, key, value, value_kept, header_names, header_values, sequence, state, reason, error_class, message,
                first_error_class, first_message, fingerprint, dialect, replay_topic)
            SELECT '\(scene.consumer)', 'millrace.\(scene.consumer).v1', 'order-events', 0, n, 'hot',
                convert_to(repeat('x', 20), 'UTF8'), 'here', '{}', '{}', 'hot', 'pending',
                CASE n WHEN 1 THEN 'failed' ELSE 'blocked' END, 'c', 'm', 'c', 'm', '0000000000000001', 'millrace',
                '\(scene.retryTopic)'
            FROM generate_series(1, \(Self.letters)) AS n ORDER BY n
            """)
    }

    /// Sends an answer without waiting for its acknowledgement.
    private func post(_ letter: ConsumerLetter, _ scene: Scene) async throws {
        while true {
            do throws(KafkaError) {
                try scene.producer.produce(
                    topic: scene.letterTopic, key: Array("hot".utf8).span, value: nil,
                    headers: RecordHeaders(letter.recordHeaders(scene.consumer)), tag: 0)
                return
            } catch {
                guard error.isQueueFull else { throw error }
                await scene.producer.waitForSpace()
            }
        }
    }
}

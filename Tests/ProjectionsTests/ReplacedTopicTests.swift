import EmbeddedKafka
import Kafka
import Logging
import StreamCore
import TestKit
import Testing

@testable import Projections

/// A topic was replaced by another topic of the same name.
@Suite struct ReplacedTopicTests {
    /// Produces events into a topic's only partition without adding them to the ledger's list.
    private func fill(_ ledger: Ledger, _ kafka: KafkaClientConfiguration, key: String, count: Int) async throws {
        let producer = try Producer(kafka) { _ in }
        for _ in 0..<count {
            let event = ledger.next(key)
            try await producer.send(topic: ledger.topics[0], key: Array(key.utf8), value: event.wire)
        }
        await producer.close(timeoutMs: 5_000)
    }

    private func expectStop(
        _ ledger: Ledger, _ kafka: KafkaClientConfiguration, at next: Int64, count: Int
    ) async throws {
        let observer = Observer()
        let log = RecordedLog()
        try await running(ledger.runner(kafka: kafka, observer: observer, log: log)) {
            try await eventually { !observer.now.stopped.isEmpty }
        }
        let stopped = try #require(observer.now.stopped.first)
        #expect(stopped.offset == next)
        let high = Int64(count)
        let isShorter = high < next
        let reason: StoppedPartition.Reason =
            isShorter ? .truncatedHistory(low: 0, high: high) : .replacedTopic(low: 0, high: high)
        #expect(stopped.reason == reason)
        let line = try #require(log.lines("partition stopped").first)
        #expect(line.level == .error)
        #expect(line.metadata["way_out"]?.contains("--set projection.on_truncated_history=continue") == true)
        #expect(try await ledger.rows()["new"] == nil)
        #expect(try await ledger.status()?.nextOffsets[stopped.partition] == next)
    }

    /// The broker was wiped. Then fewer, as many or more records than before were produced.
    @Test(arguments: [5, 19, 20, 30]) func aWipedBrokerStopsThePartition(count: Int) async throws {
        try await Ledger.withPrivateCluster(partitions: 1) { ledger, _ in
            try await ledger.produce(count: 20, keys: 2)
            try await running(ledger.runner()) { try await ledger.caughtUp() }
            let wiped = try MockCluster()
            try wiped.createTopic(ledger.topics[0], partitions: 1)
            let kafka = TestKafka.clientConfiguration(for: wiped)
            try await fill(ledger, kafka, key: "new", count: count)
            try await expectStop(ledger, kafka, at: 20, count: count)

            // Follows the advice of the log line. No record is skipped.
            let continuing = ledger.configuration { $0.onTruncatedHistory = .continue }
            try await running(ledger.runner(nil, continuing, kafka: kafka)) {
                try await eventually { try await ledger.rows()["new"]?.count == Int64(count) }
            }
            #expect(try await ledger.rows()["new"]?.disorders == 0)
            // After that the projection continues as usual.
            try await fill(ledger, kafka, key: "new", count: 1)
            try await running(ledger.runner(kafka: kafka)) {
                try await eventually { try await ledger.rows()["new"]?.count == Int64(count + 1) }
            }
            withExtendedLifetime(wiped) {}
        }
    }

    /// A parked event of the old topic and a parked event of the new topic have the same offset. Each is applied by its
    /// own letter, and applying one does not count as applying the other.
    @Test func whatIsParkedOfTheTopicBeforeIsToldFromTheNew() async throws {
        try await Ledger.withPrivateCluster(partitions: 1) { ledger, cluster in
            let scene = try ParkingScene(ledger)
            for topic in [scene.route.letterTopic, scene.route.retryTopic] {
                try cluster.createTopic(topic, partitions: 1)
            }
            // Sends the events one after the other, so that their offsets are fixed.
            try await ledger.produce([ledger.next("old", amount: -5)])
            try await ledger.produce([ledger.next("good")])
            try await running(scene.runner()) { try await ledger.caughtUp() }
            let old = try await scene.letters("failed")
            #expect(old.count == 1)

            let wiped = try MockCluster()
            for topic in [ledger.topics[0], scene.route.letterTopic, scene.route.retryTopic] {
                try wiped.createTopic(topic, partitions: 1)
            }
            let kafka = TestKafka.clientConfiguration(for: wiped)
            let producer = try Producer(kafka) { _ in }
            let bad = ledger.next("new", amount: -7)
            try await producer.send(topic: ledger.topics[0], key: Array("new".utf8), value: bad.wire)
            let continuing = scene.configuration { $0.onTruncatedHistory = .continue }
            try await running(ledger.runner(nil, continuing, kafka: kafka)) {
                try await eventually { try await scene.parked() == 2 }
                let new = try await scene.letters(on: kafka).filter { $0.reason == "failed" }
                #expect(new.count == 1 && new.first?.origin == old.first?.origin)
                try await scene.execute("ALTER TABLE ledger DROP CONSTRAINT ledger_least_check")
                // The retry is also accepted if the new topic has not reached the offset of the origin.
                try await scene.retry(old, through: producer)
                try await eventually { try await scene.parked() == 1 }
                #expect(try await ledger.rows().keys.sorted() == ["good", "old"])
                try await scene.retry(new, through: producer)
                try await eventually { try await scene.parked() == 0 }
            }
            #expect(try await ledger.rows()["old"]?.sum == -5)
            #expect(try await ledger.rows()["new"]?.sum == -7)
            await producer.close(timeoutMs: 5_000)
            withExtendedLifetime(wiped) {}
        }
    }

    @Test func theSameTopicGoesOnAfterRestarts() async throws {
        try await Ledger.with(partitions: 2) { ledger in
            for _ in 0..<3 {
                let log = RecordedLog()
                try await ledger.produce(count: 40, keys: 4)
                // The last record of one partition has a NULL value, that of another an empty value.
                try await ledger.produce(key: "k0", nil)
                try await ledger.produce(key: "k1", [])
                try await running(ledger.runner(log: log)) { try await ledger.caughtUp() }
                #expect(log.lines("partition stopped").isEmpty)
                #expect(log.lines("cannot be checked for a replacement").isEmpty)
            }
            try await ledger.expectExact()
        }
    }

    @Test(.disabled(if: TestKafka.isMock, "the mock cannot delete topics"))
    func aTopicDeletedAndMadeAgainStopsThePartition() async throws {
        try await Ledger.with(partitions: 1) { ledger in
            try await ledger.produce(count: 20, keys: 2)
            try await running(ledger.runner()) { try await ledger.caughtUp() }
            let admin = try KafkaAdmin(ledger.kafka)
            try await admin.deleteTopic(ledger.topics[0])
            try await eventually { try await admin.partitions()[ledger.topics[0]] == nil }
            try await eventually {
                do throws(KafkaError) {
                    try await admin.createTopic(ledger.topics[0], partitions: 1)
                    return true
                } catch {
                    // Kafka is still deleting the topic.
                    return false
                }
            }
            try await fill(ledger, ledger.kafka, key: "new", count: 30)
            try await expectStop(ledger, ledger.kafka, at: 20, count: 30)
        }
    }
}

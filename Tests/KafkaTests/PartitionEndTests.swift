import EmbeddedKafka
import Kafka
import StreamCore
import TestKit
import Testing

@Suite struct PartitionEndTests {
    /// Returns the records and partition ends that a consumer reports until it reports this end.
    private func read(
        _ consumer: Consumer, _ partition: TopicPartition, until end: Int64
    ) async throws -> (offsets: [Int64], ends: [Int64]) {
        var offsets: [Int64] = []
        var ends: [Int64] = []
        try await eventually {
            switch try await consumer.poll(BatchLimits()) {
            case .batch(let batch):
                offsets += batch.map(\.offset)
                if let end = batch.ends[partition] { ends.append(end) }
            case .ends(let found):
                if let end = found[partition] { ends.append(end) }
            case .error(let error) where error.kind == .transient: break
            case .idle: break
            case let other: Issue.record("unexpected: \(other)")
            }
            return ends.last == end
        }
        return (offsets, ends)
    }

    @Test func theEndIsToldWithTheLastRecordsAndByItself() async throws {
        try await TestKafka.withTopics { topics in
            let partition = TopicPartition(topic: topics[0], partition: 0)
            let kafka = try TestKafka.clientConfiguration()
            let consumer = try Consumer(kafka, group: TestKafka.uniqueName("group"), tellsEnds: true)
            try await consumer.assign([partition: .beginning])
            #expect(try await read(consumer, partition, until: 0) == ([], [0]))
            let producer = try Producer(kafka) { _ in }
            for _ in 0..<3 { try await producer.send(topic: topics[0], key: nil, value: [1]) }
            let (offsets, ends) = try await read(consumer, partition, until: 3)
            #expect(offsets == [0, 1, 2])
            #expect(ends == ends.sorted() && ends.last == 3)
            await producer.close(timeoutMs: 5_000)
            await consumer.close(timeoutMs: 5_000)
        }
    }

    /// Transaction markers and aborted records have offsets, but the consumer does not return them.
    @Test(.disabled(if: TestKafka.isMock, "the mock knows no transaction markers"))
    func theEndIsBehindTransactionsThatLeaveNoRecord() async throws {
        try await TestKafka.withTopics { topics in
            let partition = TopicPartition(topic: topics[0], partition: 0)
            let kafka = try TestKafka.clientConfiguration()
            let transaction = Transaction(kafka, topic: topics[0])
            try await transaction.run([([1], [1]), ([1], [2])], .commit)
            try await transaction.run([([1], [3])], .abort)
            let consumer = try Consumer(kafka, group: TestKafka.uniqueName("group"), tellsEnds: true)
            try await consumer.assign([partition: .beginning])
            // Two records and their marker, then one aborted record and its marker.
            #expect(try await read(consumer, partition, until: 5).offsets == [0, 1])
            let admin = try KafkaAdmin(kafka)
            #expect(try await admin.endOffsets(of: [partition]) == [partition: 5])
            await consumer.close(timeoutMs: 5_000)
        }
    }

    @Test func onlyCommittedRecordsAreRead() {
        func problems(_ properties: [String: String]) -> [String] {
            KafkaClientConfiguration(bootstrapServers: "localhost", properties: properties).validate().map(\.property)
        }
        #expect(problems(["isolation.level": "read_uncommitted"]) == ["isolation.level"])
        #expect(problems(["isolation.level": "read_committed"]) == [])
        #expect(problems(["enable.partition.eof": "true"]) == ["enable.partition.eof"])
        #expect(problems(["group.instance.id": "a"]) == ["group.instance.id"])
    }

    @Test func questionsWaitForALeader() async throws {
        try await TestKafka.withPrivateCluster { cluster, kafka in
            try cluster.createTopic("t", partitions: 2)
            let partitions = (0..<2).map { TopicPartition(topic: "t", partition: Int32($0)) }
            let admin = try KafkaAdmin(kafka, timeoutMs: 60_000)
            // NOT_LEADER_FOR_PARTITION (6), LEADER_NOT_AVAILABLE (5) and BROKER_NOT_AVAILABLE (8).
            cluster.pushRequestErrors(.listOffsets, [6, 5, 8])
            #expect(try await admin.watermarks(of: partitions).values.allSatisfy { $0.low == 0 && $0.high == 0 })
            cluster.pushRequestErrors(.listOffsets, [6, 6])
            #expect(try await admin.endOffsets(of: partitions).keys.sorted() == partitions)
        }
    }

    @Test func aQuestionIsGivenUpWithItsTask() async throws {
        try await TestKafka.withPrivateCluster { cluster, kafka in
            try cluster.createTopic("t", partitions: 1)
            let consumer = try Consumer(kafka, group: "g")
            try cluster.setBrokerDown(1)
            let question = Task {
                try await consumer.queryWatermarks(TopicPartition(topic: "t", partition: 0), timeoutMs: 20_000)
            }
            // The query does not block the consumer's own thread.
            _ = try await consumer.poll(BatchLimits(maxWaitMs: 1))
            question.cancel()
            let started = ContinuousClock.now
            await #expect(throws: KafkaError.self) { try await question.value }
            #expect(ContinuousClock.now - started < .seconds(10))
            await consumer.close(timeoutMs: 1_000)
        }
    }
}

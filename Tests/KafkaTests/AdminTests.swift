import Kafka
import StreamCore
import TestKit
import Testing

@Suite struct AdminTests {
    @Test func createsAndDeletesTopicsOrSaysThatTheBrokerCannot() async throws {
        let admin = try KafkaAdmin(try TestKafka.clientConfiguration())
        let name = TestKafka.uniqueName("topic")
        if TestKafka.isMock {
            let atCreate = try await #require(throws: KafkaError.self) {
                try await admin.createTopic(name, partitions: 3)
            }
            let atDelete = try await #require(throws: KafkaError.self) { try await admin.deleteTopic(name) }
            for error in [atCreate, atDelete] {
                #expect(error.isUnsupported)
                #expect(error.message.contains("not supported by this broker"))
            }
        } else {
            try await admin.createTopic(name, partitions: 3, settings: ["retention.ms": "60000"])
            try await eventually { try await admin.partitions()[name]?.count == 3 }
            await #expect(throws: KafkaError.self) { try await admin.createTopic(name, partitions: 3) }
            try await admin.deleteTopic(name)
            try await eventually { try await admin.partitions()[name] == nil }
        }
    }

    @Test func knowsBrokersTopicsAndWatermarks() async throws {
        try await TestKafka.withTopics(2, partitions: 3) { topics in
            let admin = try KafkaAdmin(try TestKafka.clientConfiguration())
            #expect(try await !admin.brokers().isEmpty)
            let all = try await admin.partitions()
            for topic in topics {
                #expect(all[topic] == (0..<3).map { TopicPartition(topic: topic, partition: $0) })
            }
            #expect(try await admin.partitions(of: [topics[0]]).keys.sorted() == [topics[0]])
            let producer = try Producer(try TestKafka.clientConfiguration()) { _ in }
            let report = try await producer.send(topic: topics[1], key: [1], value: [2])
            let watermarks = try await admin.watermarks(of: try #require(all[topics[1]]))
            for (partition, found) in watermarks {
                #expect(found.low == 0)
                #expect(found.high == (partition.partition == report.partition ? 1 : 0))
            }
            let committed = try await admin.committed(
                group: TestKafka.uniqueName("group"), try #require(all[topics[1]]))
            #expect(committed.isEmpty)
            await producer.close(timeoutMs: 5_000)
        }
    }

    @Test func aClusterThatIsAwayIsATimeout() async throws {
        let admin = try KafkaAdmin(
            KafkaClientConfiguration(bootstrapServers: "127.0.0.1:1"), timeoutMs: 200)
        let error = try await #require(throws: KafkaError.self) { try await admin.partitions() }
        #expect(error.kind == .transient)
        await #expect(throws: KafkaError.self) { try await admin.createTopic("t", partitions: 1) }
    }
}

import Kafka
import StreamCore
import TestKit
import Testing

/// Seeks, pauses and resumes that follow each other at once. librdkafka handles them on its own thread and may lose one
/// that another one overtakes, so each test does the same hundreds of times.
@Suite struct SeekTests {
    @Test func aPausedPartitionIsReadAfterASeek() async throws {
        try await withMember { consumer, first, second in
            for _ in 0..<300 {
                try await consumer.pause([first])
                try await consumer.seek([first: .offset(0)])
                try await read([first], consumer)
            }
            // Partition by partition: a seek of one ends no pause of the other.
            try await consumer.pause([first, second])
            try await consumer.seek([first: .offset(0)])
            try await read([first], consumer)
        }
    }

    /// With the eager protocol, a seek assigns all partitions anew. If a pause or a resume overtook the start of a
    /// partition, it would not be read again.
    @Test func aPauseAfterASeekStopsNothing() async throws {
        try await withMember { consumer, first, second in
            for _ in 0..<300 {
                try await consumer.seek([first: .offset(0), second: .offset(0)])
                try await consumer.pause([second])
                try await consumer.resume([second])
                try await read([first, second], consumer)
            }
        }
    }

    /// The pause of a partition ends when it is assigned again.
    @Test func aPausedPartitionIsReadAfterAnAssignment() async throws {
        try await withMember { consumer, first, second in
            try await consumer.pause([first, second])
            try await consumer.unassign([first, second])
            try await consumer.assign([first: .beginning, second: .beginning])
            try await read([first, second], consumer)
        }
    }

    /// Runs a test with a member of a group that owns two partitions of one record each.
    private func withMember(_ body: (Consumer, TopicPartition, TopicPartition) async throws -> Void) async throws {
        try await TestKafka.withTopics(2) { topics in
            let producer = try Producer(try TestKafka.clientConfiguration()) { _ in }
            for topic in topics { try await producer.send(topic: topic, key: nil, value: [1]) }
            await producer.close(timeoutMs: 60_000)
            let consumer = try Consumer(try TestKafka.clientConfiguration(), group: TestKafka.uniqueName("group"))
            try await consumer.subscribe(topics)
            var missing = Set(topics)
            try await eventually {
                switch try await consumer.poll(BatchLimits()) {
                case .assigned(let partitions):
                    try await consumer.assign(Dictionary(uniqueKeysWithValues: partitions.map { ($0, .beginning) }))
                case .revoked(let partitions), .lost(let partitions): try await consumer.unassign(partitions)
                case .batch(let batch): missing.subtract(batch.map(\.topicPartition.topic))
                default: break
                }
                return missing.isEmpty
            }
            let partitions = topics.map { TopicPartition(topic: $0, partition: 0) }
            try await body(consumer, partitions[0], partitions[1])
            await consumer.close(timeoutMs: 60_000)
        }
    }

    /// Reads until each of these partitions, and no other one, has returned a record.
    private func read(_ wanted: Set<TopicPartition>, _ consumer: Consumer) async throws {
        var missing = wanted
        try await eventually {
            if case .batch(let batch) = try await consumer.poll(BatchLimits()) {
                for record in batch {
                    #expect(wanted.contains(record.topicPartition))
                    missing.remove(record.topicPartition)
                }
            }
            return missing.isEmpty
        }
    }
}

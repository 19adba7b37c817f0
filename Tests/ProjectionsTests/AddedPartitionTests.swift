import EmbeddedKafka
import Kafka
import StreamCore
import TestKit
import Testing

@testable import Projections

/// Partitions are added to a topic while a projection runs.
@Suite struct AddedPartitionTests {
    /// The client asks for the topics' partitions every five seconds. After a change, the group rebalances.
    @Test(.disabled(if: TestKafka.isMock, "the mock cannot add partitions"))
    func addedPartitionsAreFoundWithinTenSeconds() async throws {
        try await Ledger.with(partitions: 1) { ledger in
            let log = RecordedLog()
            try await running(ledger.runner(log: log)) {
                try await ledger.produce(count: 40, keys: 20)
                try await ledger.caughtUp()
                try await KafkaAdmin(ledger.kafka).addPartitions(to: ledger.topics[0], total: 4)
                let added = ContinuousClock.now
                try await eventually {
                    log.lines("partitions assigned").contains { $0.metadata["partitions"]?.contains("[0-3]") == true }
                }
                // The limit allows for a busy machine.
                #expect(ContinuousClock.now - added < .seconds(10))
                // Existing keys may now belong to other partitions. Therefore this uses new keys, and a new producer
                // that knows all partitions.
                let producer = try Producer(ledger.kafka) { _ in }
                var used: Set<Int32> = []
                for number in 0..<60 {
                    let event = ledger.next("new\(number)")
                    let report = try await producer.send(
                        topic: ledger.topics[0], key: Array(event.key.utf8), value: event.wire)
                    used.insert(report.partition)
                }
                await producer.close(timeoutMs: 5_000)
                #expect(used == [0, 1, 2, 3])
                try await eventually { try await ledger.rows().count == 80 }
                #expect(try await ledger.rows().filter { $0.key.hasPrefix("new") && $0.value.count == 1 }.count == 60)
            }
        }
    }
}

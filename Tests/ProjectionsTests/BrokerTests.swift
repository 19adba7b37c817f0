import EmbeddedKafka
import Kafka
import Logging
import StreamCore
import TestKit
import Testing

@testable import Projections

@Suite struct BrokerTests {
    @Test func aBrokerThatIsAwayForAWhileIsWaitedFor() async throws {
        try await Ledger.withPrivateCluster { ledger, cluster in
            try await ledger.produce(count: 200, keys: 10)
            let log = RecordedLog()
            try await running(ledger.runner(log: log)) {
                try await ledger.caughtUp()
                try cluster.setBrokerDown(1)
                async let produced: Void = ledger.produce(count: 200, keys: 10)
                try await eventually { !log.lines("Kafka client reports an error").isEmpty }
                try cluster.setBrokerUp(1)
                try await produced
                try await ledger.caughtUp()
            }
            try await ledger.expectExact()
        }
    }

    @Test func errorsOfTheBrokerAreWaitedOut() async throws {
        try await Ledger.withPrivateCluster { ledger, cluster in
            try await ledger.produce(count: 200, keys: 10)
            // NOT_LEADER_FOR_PARTITION (6), BROKER_NOT_AVAILABLE (8), COORDINATOR_LOAD_IN_PROGRESS (14),
            // COORDINATOR_NOT_AVAILABLE (15) and REBALANCE_IN_PROGRESS (27).
            cluster.pushRequestErrors(.listOffsets, [6, 8])
            cluster.pushRequestErrors(.fetch, [6, 6, 8])
            cluster.pushRequestErrors(.joinGroup, [14, 15])
            cluster.pushRequestErrors(.offsetCommit, [27, 14])
            try await running(ledger.runner()) {
                try await ledger.produce(count: 200, keys: 10)
                try await ledger.caughtUp()
            }
            try await ledger.expectExact()
        }
    }

    /// Produces more bytes than the mock cluster keeps of a partition, before the projection runs for the first time.
    private func produceTooMuch(_ ledger: Ledger) async throws {
        let event = ledger.next("a")
        try await ledger.produce([event])
        for _ in 0..<14 {
            try await ledger.produce(key: "a", Noise.bytes(700_000))
        }
        try await ledger.produce([ledger.next("a"), ledger.next("a")])
    }

    @Test func truncatedHistoryStopsThePartitionAlone() async throws {
        try await Ledger.withPrivateCluster(partitions: 8) { ledger, _ in
            try await produceTooMuch(ledger)
            let other = try await ledger.keyElsewhere(than: "a")
            try await ledger.produce([ledger.next(other)])
            let observer = Observer()
            let log = RecordedLog()
            try await running(ledger.runner(observer: observer, log: log)) {
                try await eventually { !observer.now.stopped.isEmpty }
                try await eventually { try await ledger.rows()[other]?.count == 1 }
            }
            let stopped = try #require(observer.now.stopped.first)
            guard case .truncatedHistory(let low, let high) = stopped.reason else {
                Issue.record("stopped by \(stopped.reason)")
                return
            }
            #expect(stopped.offset == 0 && low > 0 && high == 18)
            #expect(log.lines("no longer has").first?.level == .error)
            #expect(try await ledger.rows()["a"] == nil)
            #expect(try await ledger.status()?.nextOffsets[stopped.partition] == 0)
        }
    }

    @Test func truncatedHistoryMayBePassedOver() async throws {
        try await Ledger.withPrivateCluster(partitions: 1) { ledger, _ in
            try await produceTooMuch(ledger)
            let log = RecordedLog()
            let configuration = ledger.configuration { $0.onTruncatedHistory = .continue }
            try await running(ledger.runner(nil, configuration, log: log)) { try await ledger.caughtUp() }
            #expect(log.lines("continuing without them").count == 1)
            // Kafka has deleted the first event. The last two still exist.
            #expect(try await ledger.rows()["a"]?.count == 2)
        }
    }

    /// Kafka deletes records that the projection has not read yet, because its database delays it.
    @Test func historyTruncatedWhileRunningIsNoticed() async throws {
        try await Ledger.withPrivateCluster(partitions: 1) { ledger, _ in
            let latch = Latch()
            let projection = ledger.projection { $0.beforeApply = { _, _ in await latch.wait() } }
            let observer = Observer()
            try await ledger.produce([ledger.next("a")])
            // The runner fetches one record at a time. Otherwise the deleted records would have been fetched before.
            let runner = ledger.runner(
                projection, ledger.configuration { $0.batchMaxRecords = 1 },
                kafkaProperties: ["queued.min.messages": "1", "fetch.message.max.bytes": "1000"], observer: observer)
            try await running(runner) {
                try await eventually { latch.isWaiting }
                try await produceTooMuch(ledger)
                latch.open()
                try await eventually { !observer.now.stopped.isEmpty }
            }
            guard case .truncatedHistory = observer.now.stopped.first?.reason else {
                Issue.record("not stopped by truncation")
                return
            }
        }
    }

    /// The runner asks Kafka about a partition in doubt separately. Neither the other partitions of the assignment nor
    /// a stop waits for the answer.
    @Test func aPartitionInDoubtHoldsUpNothing() async throws {
        try await Ledger.withPrivateCluster(partitions: 8) { ledger, cluster in
            try await produceTooMuch(ledger)
            let other = try await ledger.keyElsewhere(than: "a")
            cluster.pushRequestErrors(.listOffsets, Array(repeating: 6, count: 10_000))
            let observer = Observer()
            let log = RecordedLog()
            try await running(ledger.runner(observer: observer, log: log)) {
                try await eventually { !log.lines("does not report the offsets").isEmpty }
                try await ledger.produce([ledger.next(other)])
                try await eventually { try await ledger.rows()[other]?.count == 1 }
                #expect(observer.now.stopped.isEmpty)
                cluster.clearRequestErrors(.listOffsets)
                try await eventually { !observer.now.stopped.isEmpty }
            }
        }
    }

    @Test func aPartitionWithoutALeaderHoldsUpNoOther() async throws {
        try await Ledger.withPrivateCluster { ledger, cluster in
            try await ledger.produce(count: 200, keys: 20)
            try cluster.setPartitionLeader(topic: ledger.topics[0], partition: 2, broker: -1)
            let leaderless = TopicPartition(topic: ledger.topics[0], partition: 2)
            let before = ledger.remaining(nil)
            #expect(before.count == 4, "each partition has records")
            try await running(ledger.runner()) {
                try await eventually {
                    ledger.remaining(try await ledger.status()) == [leaderless: before[leaderless] ?? 0]
                }
                try cluster.setPartitionLeader(topic: ledger.topics[0], partition: 2, broker: 1)
                try await ledger.caughtUp()
            }
            try await ledger.expectExact()
        }
    }
}

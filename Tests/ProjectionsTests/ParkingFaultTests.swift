import EmbeddedKafka
import EmbeddedPostgres
import Kafka
import Letters
import Postgres
import StreamCore
import TestKit
import Testing

@testable import Projections

/// Failures between a letter and the commit of its transaction, and writers that no longer own the partition.
@Suite struct ParkingFaultTests {
    @Test(arguments: [CuttingProxy.Cut.beforeCommit, .afterCommit])
    func aCrashBetweenLettersAndCommitLosesNothing(_ cut: CuttingProxy.Cut) async throws {
        try await Ledger.withPrivateServer(tcp: .freePort) { ledger, server in
            let scene = try ParkingScene(ledger)
            let topics = [scene.route.letterTopic, scene.route.retryTopic]
            try await TestKafka.withTopics(named: topics, partitions: 1) {
                let proxy = try CuttingProxy(target: server.port)
                defer { proxy.close() }
                var throughProxy = ledger.postgres
                throughProxy.host = "127.0.0.1"
                throughProxy.port = proxy.port
                let log = RecordedLog()
                try await ledger.produce(count: 100, keys: 10)
                try await running(scene.runner(postgres: throughProxy, log: log)) {
                    try await ledger.caughtUp()
                    // The COMMIT of a transaction with letters is sent alone. The COMMIT that is sent together with the
                    // failing statement comes earlier.
                    proxy.cut(cut, alone: true)
                    try await ledger.produce([ledger.next("k3", amount: -5), ledger.next("k3")])
                    try await ledger.caughtUp()
                    try await eventually { log.lines("outcome of a transaction is known").count == 1 }
                    let failed = try await scene.letters("failed")
                    #expect(failed.count == (cut == .beforeCommit ? 2 : 1))
                    #expect(Set(failed.map(\.origin)).count == 1)
                    #expect(try await scene.parked() == 2)
                    try await scene.execute("ALTER TABLE ledger DROP CONSTRAINT ledger_least_check")
                    try await scene.retryUntilResolved()
                }
                try await ledger.expectExact()
            }
        }
    }

    /// Reads a batch of the topic's records as a runner does.
    private func batch(
        _ ledger: Ledger, _ route: DeadLetterRoute, _ partition: TopicPartition
    ) async throws -> PreparedBatch<LedgerEvent> {
        let consumer = try Consumer(ledger.kafka, group: TestKafka.uniqueName("reader"))
        try await consumer.assign([partition: .beginning])
        var batch: PreparedBatch<LedgerEvent>?
        try await eventually {
            guard case .batch(let records) = try await consumer.poll(BatchLimits()) else { return false }
            batch = PreparedBatch(
                records, for: ledger.projection { $0.isUndecodable = { $0.amount < 0 } }, from: [partition: 0],
                parking: route)
            return true
        }
        await consumer.close(timeoutMs: 5_000)
        return try #require(batch)
    }

    @Test func anOwnerFromBeforeCannotPark() async throws {
        try await ParkingScene.with { scene in
            let ledger = scene.ledger
            let bad = LedgerEvent(key: "k", sequence: 1, amount: -1)
            let partition = try await ledger.produce(key: "k", bad.wire)
            let prepared = try await batch(ledger, scene.route, partition)
            let parking = Parking(
                sender: LetterSender(consumer: ledger.name, group: "g", route: scene.route), kafka: ledger.kafka)
            let writers = (0..<2).map { _ in
                BatchWriter(
                    ledger.projection(), ledger.postgres, consumerGroup: "g", retentionDays: 7, parking: parking)
            }
            for writer in writers { _ = await writer.loadOffsets([partition]) }
            var plan = BatchSplitter(prepared.layout)
            let next = plan.next()
            let slice = try #require(next)
            let move = OffsetMove(partition: partition, expected: 0, next: slice.moves[0].next)
            let order = WriteOrder(batch: BatchID(number: 1), slice: slice, moves: [move])
            let (first, committed) = await writers[0].write(prepared, order)
            guard case .written(.committed(let news, _)) = first else {
                Issue.record("not committed: \(first)")
                return
            }
            #expect(news == [partition: BreakerNews(open: [], hasCounted: true)])
            #expect(committed.parking.counts.letters == [.failed: 1])
            guard case (.written(.fenced), _) = await writers[1].write(prepared, order) else {
                Issue.record("not fenced")
                return
            }
            #expect(try await scene.parked() == 1)
            #expect(try await scene.letters().count == 1)
            for writer in writers { await writer.close() }
        }
    }

    @Test func aBrokerThatRefusesLettersHoldsTheBatchAndBurnsNothing() async throws {
        try await Ledger.withPrivateCluster { ledger, cluster in
            let scene = try ParkingScene(ledger) { $0.letterTimeoutMs = 1_000 }
            try cluster.createTopic(scene.route.letterTopic, partitions: 1)
            try cluster.createTopic(scene.route.retryTopic, partitions: 1)
            let log = RecordedLog()
            try await ledger.produce(count: 40, keys: 10)
            try await running(scene.runner(log: log)) {
                try await ledger.caughtUp()
                try await ledger.produce([ledger.next("k3", amount: -5), ledger.next("k3")])
                // A retriable error: the client retries until the runner gives up the letters.
                cluster.pushRequestErrors(.produce, Array(repeating: 7, count: 60))
                try await eventually { !log.lines("Kafka accepts no dead letters").isEmpty }
                #expect(try await scene.parked() == 0)
                cluster.clearRequestErrors(.produce)
                try await ledger.caughtUp()
                #expect(try await scene.parked() == 2)
                #expect(try await scene.letters("failed").allSatisfy { $0.delivery == 1 })
                try await scene.execute("ALTER TABLE ledger DROP CONSTRAINT ledger_least_check")
                try await scene.retryUntilResolved()
            }
            try await ledger.expectExact()
        }
    }

    @Test func aDatabaseThatIsAwayParksNothing() async throws {
        try await ParkingScene.with { scene in
            let ledger = scene.ledger
            let failures = Countdown(6)
            let log = RecordedLog()
            let projection = ledger.projection {
                $0.beforeApply = { _, transaction in
                    // A deadlock is a temporary error.
                    if failures.next() {
                        try await transaction.execute(
                            script: "DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40P01'; END $$")
                    }
                }
            }
            try await ledger.produce(count: 100, keys: 10)
            try await running(scene.runner(projection, log: log)) { try await ledger.caughtUp() }
            #expect(failures.isUsedUp)
            #expect(try await scene.letters().isEmpty)
            try await ledger.expectExact()
        }
    }

    @Test func twoInstancesShareThePoisonInOrder() async throws {
        try await ParkingScene.with { scene in
            let ledger = scene.ledger
            let fixed = Switch(false)
            let projection = ledger.projection {
                $0.beforeApply = { events, _ in
                    if !fixed.isOn, let bad = events.first(where: { $0.sequence % 7 == 3 && $0.key.hasSuffix("1") }) {
                        throw EventFailure("refused", "the test says so", eventID: bad.id)
                    }
                }
            }
            try await ledger.produce(count: 300, keys: 20)
            try await running(scene.runner(projection), scene.runner(projection)) {
                try await ledger.produce(count: 300, keys: 20)
                try await ledger.caughtUp()
                fixed.isOn = true
                try await ledger.produce(count: 100, keys: 20)
                try await scene.retryUntilResolved()
                try await ledger.caughtUp()
                try await scene.retryUntilResolved()
            }
            try await ledger.expectExact()
        }
    }
}

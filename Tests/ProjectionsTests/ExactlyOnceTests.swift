import Kafka
import Postgres
import StreamCore
import Synchronization
import TestKit
import Testing

@testable import Projections

@Suite struct ExactlyOnceTests {
    @Test func duplicatesTakeEffectOnce() async throws {
        try await Ledger.with(topics: 2) { ledger in
            let events = (0..<600).map { ledger.next("k\($0 % 20)", amount: Int64($0)) }
            try await ledger.produce(events)
            // Produces each event again, twice in a row.
            try await ledger.produce(events.flatMap { [$0, $0] })
            let observer = Observer()
            try await running(ledger.runner(observer: observer)) {
                try await ledger.caughtUp()
                try await ledger.produce(events)
                try await ledger.produce(count: 100, keys: 20)
                try await ledger.caughtUp()
                try await eventually { observer.now.standing.values.contains { $0.end == $0.next } }
            }
            try await ledger.expectExact()
            #expect(observer.now.stopped == [])
        }
    }

    /// Readers who wait for a transaction's changes see them when the commit is reported.
    @Test func eachCommitIsTold() async throws {
        try await Ledger.with(partitions: 1) { ledger in
            let commits = Mutex(0)
            let runner = ProjectionRunner(
                projection: ledger.projection(), configuration: ledger.configuration(), postgres: ledger.postgres,
                kafka: ledger.kafka, logger: Ledger.logger, onCommit: { commits.withLock { $0 += 1 } })
            try await running(runner) {
                for round in 1...3 {
                    try await ledger.produce(count: 10, keys: 2)
                    try await ledger.caughtUp()
                    try await eventually { commits.withLock { $0 } >= round }
                }
            }
            // Each transaction has at least one of the thirty records.
            #expect(commits.withLock { $0 } <= 30)
        }
    }

    /// A changed limit takes effect with the next batch, while the runner runs.
    @Test func batchesMayGrowWhileItRuns() async throws {
        try await Ledger.with(partitions: 1) { ledger in
            let commits = Mutex(0)
            var configuration = ledger.configuration { $0.batchMaxRecords = 1 }
            let batches = Live(configuration.batches)
            configuration.liveBatches = batches
            let runner = ProjectionRunner(
                projection: ledger.projection(), configuration: configuration, postgres: ledger.postgres,
                kafka: ledger.kafka, logger: Ledger.logger, onCommit: { commits.withLock { $0 += 1 } })
            try await ledger.produce(count: 20, keys: 2)
            try await running(runner) {
                try await ledger.caughtUp()
                try await eventually { commits.withLock { $0 } >= 20 }
                configuration.batchMaxRecords = 1_000
                batches.set(configuration.batches)
                try await ledger.produce(count: 500, keys: 2)
                try await ledger.caughtUp()
            }
            #expect(commits.withLock { $0 } < 520)
            try await ledger.expectExact()
        }
    }

    /// Such a projection recognises repeated events by its own tables. If parked events block their keys, the runner
    /// still records event ids, to recognise repeated retries.
    @Test(arguments: [nil, DeadLetterRoute.Order.none, .key])
    func aProjectionMaySeeEventsAgainIfItSaysSo(_ order: DeadLetterRoute.Order?) async throws {
        try await ParkingScene.with({ $0.order = order ?? .none }) { scene in
            let ledger = scene.ledger
            let event = ledger.next("k", amount: 1)
            try await ledger.produce([event])
            try await ledger.produce([event])
            let projection = ledger.projection { $0.remembersEvents = false }
            let runner = order == nil ? ledger.runner(projection) : scene.runner(projection)
            try await running(runner) { try await ledger.caughtUp() }
            #expect(try await ledger.rows()["k"]?.count == (order == .key ? 1 : 2))
        }
    }

    @Test func restartsLoseAndRepeatNothing() async throws {
        try await Ledger.with { ledger in
            for _ in 0..<3 {
                try await ledger.produce(count: 300, keys: 11)
                try await running(ledger.runner()) {
                    try await eventually { try await !ledger.rows().isEmpty }
                    try await ledger.produce(count: 300, keys: 11)
                }
                // The runner stopped at some point. Everything that it applied is committed, and the offsets match.
                let applied = try await ledger.rows().values.reduce(0) { $0 + $1.count }
                let offsets = try #require(try await ledger.status()).nextOffsets.values.reduce(0, +)
                #expect(applied == offsets)
            }
            try await running(ledger.runner()) { try await ledger.caughtUp() }
            try await ledger.expectExact()
        }
    }

    @Test func aGracefulStopLeavesACopyOfTheOffsetsInKafka() async throws {
        try await Ledger.with { ledger in
            try await ledger.produce(count: 200, keys: 10)
            try await running(ledger.runner()) { try await ledger.caughtUp() }
            let offsets = try #require(try await ledger.status()).nextOffsets
            let group = ledger.configuration().consumerGroup(of: ledger.projection())
            let consumer = try Consumer(ledger.kafka, group: group)
            let copied = try await consumer.committed(Array(offsets.keys), timeoutMs: 60_000)
            #expect(copied == offsets)
            _ = await consumer.close(timeoutMs: 5_000)
        }
    }

    @Test func twoRunnersShareThePartitionsUnderLoad() async throws {
        try await Ledger.with(partitions: 6) { ledger in
            let observers = (Observer(), Observer())
            try await running(ledger.runner(observer: observers.0)) {
                try await ledger.produce(count: 500, keys: 40)
                try await eventually { try await !ledger.rows().isEmpty }
                try await running(ledger.runner(observer: observers.1)) {
                    try await eventually {
                        try await ledger.produce(count: 40, keys: 40)
                        return observers.1.now.standing.count >= 2 && !observers.0.now.released.isEmpty
                    }
                    try await ledger.produce(count: 500, keys: 40)
                    try await ledger.caughtUp()
                }
                // The first runner gets all partitions back.
                try await ledger.produce(count: 500, keys: 40)
                try await ledger.caughtUp()
            }
            try await ledger.expectExact()
        }
    }

    /// The two runners use two groups, so each believes that it owns every partition and acts as a zombie for the
    /// other.
    @Test func ownersThatDoNotKnowOfEachOtherCannotBothCommit() async throws {
        try await Ledger.with { ledger in
            try await ledger.produce(count: 1_000, keys: 20)
            let log = RecordedLog()
            let first = ledger.runner(
                nil, ledger.configuration(service: "first") { $0.batchMaxRecords = 20 }, log: log)
            let second = ledger.runner(
                nil, ledger.configuration(service: "second") { $0.batchMaxRecords = 30 }, log: log)
            try await running(first, second) {
                try await eventually {
                    try await ledger.produce(count: 100, keys: 20)
                    return !log.lines("another process moved the offsets").isEmpty
                }
                try await ledger.caughtUp()
            }
            try await ledger.expectExact()
        }
    }

    @Test func transientErrorsAreTriedAgainInOrder() async throws {
        try await Ledger.with { ledger in
            let failures = Countdown(30)
            let projection = ledger.projection {
                $0.beforeApply = { _, transaction in
                    guard failures.next() else { return }
                    let state = ["40001", "40P01", "57P01", "53300"].randomElement() ?? "40001"
                    try await transaction.execute(
                        script: "DO $$ BEGIN RAISE EXCEPTION 'injected' USING ERRCODE = '\(state)'; END $$")
                }
            }
            try await ledger.produce(count: 600, keys: 20)
            let configuration = ledger.configuration {
                $0.backoffInitialMs = 1; $0.backoffCeilingMs = 20
            }
            try await running(ledger.runner(projection, configuration)) {
                for _ in 0..<20 { try await ledger.produce(count: 40, keys: 20) }
                try await ledger.caughtUp()
            }
            #expect(failures.isUsedUp)
            try await ledger.expectExact()
        }
    }

    @Test func everyKindOfValuePassesTheDecoder() async throws {
        try await Ledger.with(partitions: 1, topicSettings: ["max.message.bytes": "4000000"]) { ledger in
            let large = try Noise.bytes(1_500_000)
            let producer = try Producer(
                KafkaClientConfiguration(
                    bootstrapServers: ledger.kafka.bootstrapServers, properties: ["message.max.bytes": "4000000"]),
                onDelivery: { _ in })
            try await ledger.produce([ledger.next("a")])
            for value in [nil, [], [0xFF, 0xFE, 0x00], large, Array("{".utf8)] as [[UInt8]?] {
                try await ledger.produce(key: "a", value, through: producer)
                try await ledger.produce([ledger.next("a")])
            }
            try await running(ledger.runner()) { try await ledger.caughtUp() }
            try await ledger.expectExact()
            #expect(try await ledger.rows()["a"]?.count == 6)
            await producer.close(timeoutMs: 1_000)
        }
    }

    @Test func offsetsThatAnOperatorResetAreReadAgainWithoutEffect() async throws {
        try await Ledger.with { ledger in
            try await ledger.produce(count: 300, keys: 10)
            try await running(ledger.runner()) {
                try await ledger.caughtUp()
                try await ledger.withConnection { try await $0.execute(script: "DELETE FROM projection_offsets") }
                try await ledger.produce(count: 100, keys: 10)
                try await ledger.caughtUp()
            }
            try await ledger.expectExact()
        }
    }

    @Test func aDatabaseThatIsNotThereIsWaitedForAndDoesNotHoldUpAStop() async throws {
        try await Ledger.with { ledger in
            var nowhere = ledger.postgres
            nowhere.host = "127.0.0.1"
            nowhere.port = 1
            let log = RecordedLog()
            try await ledger.produce(count: 10, keys: 10)
            try await running(ledger.runner(postgres: nowhere, log: log)) {
                try await eventually { !log.lines("database's work failed").isEmpty }
            }
            #expect(log.lines("database's work failed").count == 1)
        }
    }

    @Test func aConfigurationThatMakesNoSenseIsRefused() async throws {
        try await Ledger.with { ledger in
            let configuration = ledger.configuration {
                $0.service = ""
                $0.batchMaxRecords = 0
                $0.backoffInitialMs = 1_000
                $0.backoffCeilingMs = 10
            }
            #expect(configuration.validate().count == 3)
            let runner = ledger.runner(nil, configuration)
            await #expect(throws: ProjectionError.self) { try await runner.run() }
        }
    }

    @Test func aMissingSchemaEndsTheRun() async throws {
        try await Ledger.with { ledger in
            var elsewhere = ledger.postgres
            elsewhere.schema = "no_such_schema"
            let configuration = ledger.configuration {
                $0.backoffInitialMs = 1; $0.backoffCeilingMs = 10
            }
            let runner = ledger.runner(nil, configuration, postgres: elsewhere)
            let error = await #expect(throws: ProjectionError.self) { try await runner.run() }
            guard case .unusable(let cause) = error else {
                Issue.record("ended by \(String(describing: error))")
                return
            }
            #expect((cause as? PostgresError)?.sqlState == .undefinedTable)
        }
    }
}

import Foundation
import Kafka
import Logging
import Migrations
import Postgres
import Projections
import Synchronization

/// 100,000 events of 5,000 keys, of which 1 % cannot be applied until the cause is removed. The ratio compares the rate
/// with that of the same run without such events. Afterwards all letters are retried. At the end no event is lost, and
/// the events of each key were applied in their order.
///
/// The runtime runs in this process, on a read model that records the order in which events were applied. The
/// dead-letter handler is the real daemon.
struct Poison: Sendable {
    /// The step that fails.
    enum Stage {
        case decode, apply
    }

    static let events = 100_000
    static let keys = 5_000
    /// One event in this number cannot be applied.
    static let share = 100

    let name: String
    let stage: Stage

    /// Events that cannot be decoded.
    static let undecodable = Poison(name: "poison", stage: .decode)
    /// Events that the database refuses. The projection finds them by splitting batches.
    static let inapplicable = Poison(name: "poison-apply", stage: .apply)

    @Sendable func run(on servers: BenchServers) async throws -> BenchResult {
        let clean = PoisonScene(name: "clean", stage: nil, servers)
        try await clean.produce()
        let limit = try await clean.catchUp { _ in }
        say("without poison: \(Int(limit)) events/s")

        let scene = PoisonScene(name: "poisoned", stage: stage, servers)
        try await scene.produce()
        let handler = try servers.start(
            "dead-letter-handler",
            settings: ["letters.consumers": scene.consumer, "letters.poll_interval_ms": "50"])
        let rate = try await scene.catchUp { database in
            try await scene.checkUnaffected(database)
            try await scene.retryAll(database, servers)
        }
        let peak = try handler.peakResidentMiB()
        try await handler.stop()

        var result = BenchResult(name: name)
        result.events = Self.events
        result.seconds = Double(Self.events) / rate
        result.eventsPerS = rate
        result.limitPerS = limit
        result.ratio = rate / limit
        result.peakRssMib = peak
        let outcome = try await scene.outcome()
        result.orderViolations = outcome.orderViolations
        result.lost = outcome.lost
        return result
    }
}

/// A topic of events, some of which fail, and their read model.
private struct PoisonScene: Sendable {
    let consumer: String
    private let topic: String
    private let servers: BenchServers
    private let stage: Poison.Stage?
    private let cause = PoisonCause()

    init(name: String, stage: Poison.Stage?, _ servers: BenchServers) {
        consumer = "bench-\(name)"
        topic = "\(name)\(servers.topicSuffix)"
        self.stage = stage
        self.servers = servers
    }

    private var table: String { "applied_\(consumer.replacing("-", with: "_"))" }

    /// Produces events of all keys in turn. The failing events are distributed over keys and sequences.
    func produce() async throws {
        try await servers.makeTopics([topic, "dlq.\(consumer)", "retry.\(consumer)"])
        let producer = try Producer(servers.kafkaCompressed) { _ in }
        for number in 0..<Poison.events {
            let event = PoisonEvent(
                key: "key-\(number % Poison.keys)", sequence: Int64(number / Poison.keys + 1),
                isPoison: stage != nil && (number * 7_919) % (Poison.share * 101) < 101)
            let (key, value) = (Array(event.key.utf8), event.wire)
            while true {
                do throws(KafkaError) {
                    try producer.produce(topic: topic, key: key.span, value: value.span, headers: nil, tag: 0)
                    break
                } catch {
                    guard error.isQueueFull else { throw error }
                    await producer.waitForSpace()
                }
            }
        }
        try await producer.flush(timeoutMs: 60_000)
        await producer.close(timeoutMs: 10_000)
    }

    /// Applies the topic from its beginning.
    ///
    /// - Parameter afterwards: runs after every event was passed, while the projection still runs.
    /// - Returns: the events that were passed a second.
    func catchUp(_ afterwards: (PostgresConnection) async throws -> Void) async throws -> Double {
        let database = try await PostgresConnection.connect(servers.postgres)
        try await database.execute(
            script: """
                CREATE TABLE \(table) (
                    position bigint GENERATED ALWAYS AS IDENTITY, key text NOT NULL, sequence bigint NOT NULL,
                    is_poison boolean NOT NULL);
                ALTER TABLE \(table) ADD CONSTRAINT poison CHECK (NOT is_poison)
                """)
        var configuration = ProjectionRunnerConfiguration(service: "bench")
        configuration.onFailure = .park(DeadLetterRoute(consumer: consumer))
        let runner = ProjectionRunner(
            projection: PoisonableProjection(
                name: consumer, topic: topic, table: table, refuses: stage == .decode ? cause : nil),
            configuration: configuration, postgres: servers.postgres, kafka: servers.kafka,
            logger: Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() })
        let run = Task { try await runner.run() }
        var first: (time: ContinuousClock.Instant, passed: Int64)?
        try await servers.wait("caught-up projection", within: .seconds(300), every: .milliseconds(10)) {
            let passed = try await passed(database)
            if first == nil, passed > 0 { first = (.now, passed) }
            return passed >= Int64(Poison.events)
        }
        guard let first else { throw BenchError("the projection finished before the first measurement") }
        let seconds = (ContinuousClock.now - first.time) / .seconds(1)
        try await afterwards(database)
        run.cancel()
        try await run.value
        await database.close()
        return Double(Int64(Poison.events) - first.passed) / seconds
    }

    private func passed(_ database: PostgresConnection) async throws -> Int64 {
        try await database.execute(
            "SELECT coalesce(sum(next_offset), 0)::bigint FROM projection_offsets WHERE topic = $1",
            Parameters { $0.append(topic) }
        ).int64(0, 0)
    }

    /// Checks that all events of a key without a failing event are applied, and of the other keys all before the first
    /// failing one.
    func checkUnaffected(_ database: PostgresConnection) async throws {
        let parked = try await database.execute("SELECT count(*) FROM parked_events").int64(0, 0)
        let applied = try await database.execute(Statement("SELECT count(*) FROM \(table)")).int64(0, 0)
        let poisoned = try await database.execute(
            "SELECT count(*) FROM parked_events WHERE reason = 'failed'"
        ).int64(0, 0)
        guard parked + applied == Int64(Poison.events) else {
            throw BenchError("\(applied) events are applied and \(parked) parked, of \(Poison.events)")
        }
        say("\(poisoned) events are parked as failed and \(parked - poisoned) behind them")
    }

    /// Removes the cause, retries every letter, and waits until none is open and no key is blocked.
    func retryAll(_ database: PostgresConnection, _ servers: BenchServers) async throws {
        try await servers.wait("letters of all parked events", within: .seconds(120), every: .milliseconds(50)) {
            try await database.execute(
                "SELECT (SELECT count(*) FROM dead_letters) = (SELECT count(*) FROM parked_events)"
            ).bool(0, 0)
        }
        cause.isRemoved.store(true, ordering: .relaxed)
        try await database.execute(script: "ALTER TABLE \(table) DROP CONSTRAINT poison")
        let start = ContinuousClock.now
        let letters = try await database.execute(
            "UPDATE dead_letters SET next_attempt_at = now() WHERE state = 'pending'"
        ).affectedRows
        try await servers.wait("end of all letters", within: .seconds(300), every: .milliseconds(50)) {
            try await database.execute(
                """
                SELECT NOT EXISTS (SELECT FROM dead_letters WHERE state IN ('pending', 'retrying'))
                    AND NOT EXISTS (SELECT FROM parked_events)
                """
            ).bool(0, 0)
        }
        say("\(letters) letters retried in \(Double((ContinuousClock.now - start) / .milliseconds(1)) / 1_000) s")
    }

    /// The number of events that were applied after a later event of their key, and the number of events that never
    /// took effect.
    func outcome() async throws -> (orderViolations: Int, lost: Int) {
        let database = try await PostgresConnection.connect(servers.postgres)
        let row = try await database.execute(
            Statement(
                """
                SELECT count(*) FILTER (WHERE sequence <> expected), count(DISTINCT (key, sequence)) FROM (
                    SELECT key, sequence, row_number() OVER (PARTITION BY key ORDER BY position) AS expected
                    FROM \(table)) AS applied
                """))
        let (violations, distinct) = (try row.int64(0, 0), try row.int64(0, 1))
        await database.close()
        return (Int(violations), Poison.events - Int(distinct))
    }
}

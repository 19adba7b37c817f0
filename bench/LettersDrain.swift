import Foundation
import Kafka
import Logging
import Migrations
import Postgres
import Projections
import StreamCore
import Synchronization

/// One key has 100,000 events behind its failed first event. Three retries of the first event fail, and must not send
/// any other event. Then the cause is removed, and all events are retried: handler, retry topic, projection, answers,
/// handler.
///
/// The limit is the SQL of the same changes alone, on one connection; see ``LetterSQLAlone``. The runtime runs in this
/// process, and the dead-letter handler is the real daemon.
enum LettersDrain {
    static let name = "letters-drain"
    /// The number of events behind the first one.
    static let events = 100_000
    static let triesInVain = 3

    @Sendable static func run(on servers: BenchServers) async throws -> BenchResult {
        let limit = try await LetterSQLAlone.lettersPerSecond(events, servers.postgres)
        say("the same changes alone: \(Int(limit)) letters/s")
        let scene = HotKeyScene(servers)
        try await servers.makeTopics([scene.topic, "dlq.\(scene.consumer)", scene.retryTopic])
        let database = try await PostgresConnection.connect(servers.postgres)
        try await database.execute(
            script: """
                CREATE TABLE \(scene.table) (
                    position bigint GENERATED ALWAYS AS IDENTITY, key text NOT NULL, sequence bigint NOT NULL,
                    is_poison boolean NOT NULL)
                """)
        let handler = try servers.start(
            "dead-letter-handler",
            settings: [
                "letters.consumers": scene.consumer,
                // The mock cluster keeps 5 MiB for each partition.
                "kafka.properties.compression.type": "lz4",
            ])
        let run = Task { try await scene.runner.run() }
        try await scene.park(database)
        try await scene.retryInVain(database)
        let seconds = try await scene.drain(database)
        let (peak, processor) = (try handler.peakResidentMiB(), try handler.processorSeconds())
        try await handler.stop()
        run.cancel()
        try await run.value

        var result = BenchResult(name: name)
        result.events = events
        result.seconds = seconds
        result.eventsPerS = Double(events) / seconds
        result.limitPerS = limit
        result.ratio = Double(events) / seconds / limit
        result.peakRssMib = peak
        result.cpuSPer100k = processor * 100_000 / Double(events)
        (result.orderViolations, result.lost) = try await scene.outcome(database)
        await database.close()
        return result
    }
}

/// The hot key, its topics and its read model.
private struct HotKeyScene: Sendable {
    let consumer = "bench-hot"
    let topic: String
    let table = "applied_hot"
    private let servers: BenchServers
    private let cause = PoisonCause()

    init(_ servers: BenchServers) {
        self.servers = servers
        topic = "hot\(servers.topicSuffix)"
    }

    var retryTopic: String { "retry.\(consumer)" }

    var runner: ProjectionRunner<PoisonableProjection> {
        var configuration = ProjectionRunnerConfiguration(service: "bench")
        configuration.onFailure = .park(DeadLetterRoute(consumer: consumer))
        return ProjectionRunner(
            projection: PoisonableProjection(name: consumer, topic: topic, table: table, refuses: cause),
            configuration: configuration, postgres: servers.postgres, kafka: servers.kafkaCompressed,
            logger: Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() })
    }

    /// Produces the events, and waits until all are letters. The ids are consecutive, so that they compress well in the
    /// mock cluster's limited storage.
    func park(_ database: PostgresConnection) async throws {
        let producer = try Producer(servers.kafkaCompressed) { _ in }
        let key = Array("hot".utf8)
        for number in 0...LettersDrain.events {
            let event = PoisonEvent(
                id: EventID(high: 0x8000, low: 2 << 62 | UInt64(number)), key: "hot", sequence: Int64(number + 1),
                isPoison: number == 0)
            let value = event.wire
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
        try await servers.wait("letters of all events", within: .seconds(300), every: .milliseconds(50)) {
            try await database.execute(
                "SELECT coalesce(sum(pending), 0)::bigint FROM dead_letter_groups"
            ).int64(0, 0) == Int64(LettersDrain.events + 1)
        }
    }

    private static let retryHead: Statement = """
        UPDATE dead_letters SET next_attempt_at = now()
        WHERE letter_id = (SELECT min(letter_id) FROM dead_letters) AND state = 'pending'
        """

    func retryInVain(_ database: PostgresConnection) async throws {
        for attempt in 1...LettersDrain.triesInVain {
            try await database.execute(Self.retryHead)
            try await servers.wait("answer to the head", within: .seconds(60)) {
                try await database.execute(
                    "SELECT attempts = $1 AND state = 'pending' FROM dead_letters ORDER BY letter_id LIMIT 1",
                    Parameters { $0.append(Int32(attempt)) }
                ).bool(0, 0)
            }
        }
        let sent = try await servers.recordsProduced(to: retryTopic)
        guard sent == Int64(LettersDrain.triesInVain) else {
            throw BenchError("\(LettersDrain.triesInVain) retries of the head sent \(sent) records")
        }
    }

    /// - Returns: the seconds from the request to retry the first event to the end of the last letter.
    func drain(_ database: PostgresConnection) async throws -> Double {
        cause.isRemoved.store(true, ordering: .relaxed)
        let start = ContinuousClock.now
        try await database.execute(Self.retryHead)
        try await servers.wait("end of all letters", within: .seconds(600), every: .milliseconds(50)) {
            try await database.execute(
                "SELECT coalesce(sum(resolved), 0)::bigint FROM dead_letter_groups"
            ).int64(0, 0) == Int64(LettersDrain.events + 1)
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        let parked = try await database.execute("SELECT count(*) FROM parked_events").int64(0, 0)
        guard parked == 0 else { throw BenchError("\(parked) events are parked though all letters are resolved") }
        let sent = try await servers.recordsProduced(to: retryTopic)
        guard sent == Int64(LettersDrain.events + 1 + LettersDrain.triesInVain) else {
            throw BenchError("\(sent) records were sent for \(LettersDrain.events + 1) letters")
        }
        return seconds
    }

    func outcome(_ database: PostgresConnection) async throws -> (orderViolations: Int, lost: Int) {
        let row = try await database.execute(
            Statement(
                """
                SELECT count(*) FILTER (WHERE sequence <> expected), count(DISTINCT sequence) FROM (
                    SELECT sequence, row_number() OVER (ORDER BY position) AS expected FROM \(table)) AS applied
                """))
        return (Int(try row.int64(0, 0)), LettersDrain.events + 1 - Int(try row.int64(0, 1)))
    }
}

/// The changes that a drain makes in PostgreSQL, without anything else. The letters are sent and resolved with their
/// history, rows for the sends are inserted and deleted, and the events are applied, stored and no longer parked. One
/// connection processes one set of 10,000 letters after the other and has nothing to search for.
private enum LetterSQLAlone {
    private static let set = 10_000

    static func lettersPerSecond(_ letters: Int, _ server: PostgresConfiguration) async throws -> Double {
        var postgres = server
        let administrator = try await PostgresConnection.connect(postgres)
        try await administrator.execute(script: "CREATE SCHEMA sql_alone")
        postgres.schema = "sql_alone"
        postgres.settings["jit"] = "off"
        postgres.settings["plan_cache_mode"] = "force_custom_plan"
        try await Migrator(postgres).up(["projections", "dead-letters"])
        let connection = try await PostgresConnection.connect(postgres)
        try await connection.execute(script: tables(letters), timeoutMs: 600_000)
        let start = ContinuousClock.now
        var first = 1
        while first <= letters {
            for script in changes(first, min(first + set - 1, letters)) {
                try await connection.execute(script: "BEGIN; \(script); COMMIT")
            }
            first += set
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        let open = try await connection.execute(
            """
            SELECT (SELECT count(*) FROM dead_letters WHERE state <> 'resolved') + (SELECT count(*) FROM parked_events)
                + (SELECT count(*) FROM dead_letter_sends)
            """
        ).int64(0, 0)
        guard open == 0 else { throw BenchError("the changes alone left \(open) rows open") }
        await connection.close()
        try await administrator.execute(script: "DROP SCHEMA sql_alone CASCADE; CHECKPOINT", timeoutMs: 600_000)
        await administrator.close()
        return Double(letters) / seconds
    }

    private static func tables(_ letters: Int) -> String {
        """
        CREATE TABLE applied (
            position bigint GENERATED ALWAYS AS IDENTITY, key text NOT NULL, sequence bigint NOT NULL,
            is_poison boolean NOT NULL);
        INSERT INTO projections (name, version, consumer_group) VALUES ('alone', 1, 'bench.alone.v1');
        CREATE TABLE remembered PARTITION OF processed_events FOR VALUES IN (1);
        INSERT INTO parked_events (projection_id, topic, partition, record_offset, sequence, event_id, reason)
        SELECT 1, 'hot', 0, n, 'hot', ('00000000-0000-8000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'blocked'
        FROM generate_series(1, \(letters)) AS n;
        INSERT INTO dead_letters (
            consumer, consumer_group, origin_topic, origin_partition, origin_offset, origin_mark, key, value,
            value_kept, header_names, header_values, sequence, state, reason, error_class, message, first_error_class,
            first_message, fingerprint, dialect, replay_topic)
        SELECT 'alone', 'bench.alone.v1', 'hot', 0, n, '1780000000000', 'hot', convert_to(repeat('.', 550), 'UTF8'),
            'here', '{}', '{}', sha256('hot'), 'pending', 'blocked', 'blocked', 'an earlier event of its key failed',
            'blocked', 'an earlier event of its key failed', '0000000000000001', 'millrace', 'retry.alone'
        FROM generate_series(1, \(letters)) AS n ORDER BY n;
        ANALYZE parked_events, dead_letters;
        """
    }

    /// One statement for each transaction.
    private static func changes(_ first: Int, _ last: Int) -> [String] {
        let letters = "letter_id BETWEEN \(first) AND \(last)"
        return [
            """
            UPDATE dead_letters SET state = 'retrying', delivery = delivery + 1, state_since = clock_timestamp()
                WHERE \(letters);
            INSERT INTO dead_letter_sends (letter_id, action, delivery, edit)
                SELECT letter_id, 'apply', 2, 0 FROM generate_series(\(first), \(last)) AS letter_id;
            INSERT INTO dead_letter_history (letter_id, actor, action, from_state, to_state, reason)
                SELECT letter_id, 'dead-letter-handler', 'sent', 'pending', 'retrying', 'delivery 2'
                FROM generate_series(\(first), \(last)) AS letter_id
            """,
            "DELETE FROM dead_letter_sends WHERE \(letters)",
            """
            INSERT INTO processed_events (event_id, event_day, projection_id)
                SELECT event_id, '2026-05-28', 1 FROM parked_events WHERE record_offset BETWEEN \(first) AND \(last);
            INSERT INTO applied (key, sequence, is_poison)
                SELECT 'hot', n, false FROM generate_series(\(first), \(last)) AS n;
            DELETE FROM parked_events WHERE projection_id = 1 AND topic = 'hot' AND partition = 0
                AND record_offset BETWEEN \(first) AND \(last)
            """,
            """
            UPDATE dead_letters SET state = 'resolved', state_since = clock_timestamp() WHERE \(letters);
            INSERT INTO dead_letter_history (letter_id, actor, action, from_state, to_state)
                SELECT letter_id, 'dead-letter-handler', 'resolved', 'retrying', 'resolved'
                FROM generate_series(\(first), \(last)) AS letter_id
            """,
        ]
    }
}

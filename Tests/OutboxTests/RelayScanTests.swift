import EmbeddedPostgres
import Foundation
import Kafka
import Migrations
import Outbox
import Postgres
import TestKit
import Testing

/// Rows that the forward scan alone does not find: late rows, rows that were left in the outbox, and rows behind dead
/// rows.
@Suite struct RelayScanTests {
    @Test func preparedTransactionIsPublishedOnceItCommits() async throws {
        var settings = PostgresServerConfiguration.withoutDurability
        settings["max_prepared_transactions"] = "4"
        try await TestDatabase.withPrivateServer(settings: settings) { _, postgres in
            try await Migrator(postgres).up(["outbox"])
            try await TestKafka.withTopics { topics in
                let kafka = try TestKafka.clientConfiguration()
                let reader = try await Reader(kafka, topics, partitions: 1)
                let (late, other) = (try await Service(postgres), try await Service(postgres))
                try await withRelay(quickConfiguration(), postgres, kafka) {
                    try await late.connection.execute(
                        script: """
                            BEGIN;
                            INSERT INTO outbox (event_type, aggregate_type, aggregate_id, sequence, payload)
                                VALUES ('Tested', '\(topics[0])', 'late', 1, '{}');
                            PREPARE TRANSACTION 'p1'
                            """)
                    // The relay reads each row in its own page. After each page it asks which transactions may still
                    // commit older rows.
                    for number in Int64(1)...10 {
                        try await other.commit(topics[0], "other", number...number)
                        try await reader.readSequences(["other": number])
                    }
                    try await late.connection.execute(script: "COMMIT PREPARED 'p1'")
                    try await reader.readSequences(["late": 1, "other": 10])
                }
                await reader.close()
            }
        }
    }

    @Test(arguments: ["TRUNCATE outbox RESTART IDENTITY", "ALTER SEQUENCE outbox_id_seq RESTART", "VACUUM FULL outbox"])
    func idsThatBeginAnewAreReadWithoutTheSweep(script: String) async throws {
        try await RelayScene.run { scene in
            try await scene.withRelay(quickConfiguration()) {
                try await scene.service.commit(scene.topic, "a", 1...1_000)
                try await scene.reader.readSequences(["a": 1_000])
                try await eventually { try await scene.service.count() == 0 }
                try await scene.service.connection.execute(script: script)
                for number in Int64(1_001)...1_005 {
                    try await scene.service.commit(scene.topic, "a", number...number)
                    try await scene.reader.readSequences(["a": number])
                }
                try await eventually { try await scene.service.count() == 0 }
            }
        }
    }

    /// A row in `outbox_failed` holds back 200,000 younger rows of its key.
    @Test func heldRowsDoNotDelayNewOnes() async throws {
        try await RelayScene.run { scene in
            var configuration = quickConfiguration()
            // This is the shortest interval that is allowed.
            configuration.sweepIntervalMs = 100
            try await scene.service.commit(scene.topic, "held", 1...200_000)
            try await scene.service.connection.execute(script: "UPDATE outbox SET headers = '[]' WHERE sequence = 1")
            try await scene.withRelay(configuration) {
                try await scene.service.commit(scene.topic, "new", 1...1)
                try await scene.reader.readSequences(["new": 1])
                var waits: [Duration] = []
                for number in Int64(2)...40 {
                    let start = ContinuousClock.now
                    try await scene.service.commit(scene.topic, "new", number...number)
                    try await scene.reader.readSequences(["new": number])
                    waits.append(ContinuousClock.now - start)
                }
                // Reading 200,000 rows takes seconds.
                #expect(waits.sorted()[waits.count * 9 / 10] < .milliseconds(500))
                #expect(try await scene.service.count() >= 199_999, "the old rows are still held")
            }
            #expect(await scene.reader.firstOccurrences["held"] == nil)
        }
    }

    @Test func freedRowsComeInTheirOrderBeforeNewOnes() async throws {
        try await RelayScene.run(partitions: 2) { scene in
            try await scene.service.commit(scene.topic, "held", 1...3_000)
            try await scene.service.connection.execute(script: "UPDATE outbox SET headers = '[]' WHERE sequence = 5")
            let failures = OutboxFailures()
            try await scene.withRelay(quickConfiguration()) {
                try await scene.reader.readSequences(["held": 4])
                try await scene.service.commit(scene.topic, "new", 1...3)
                try await scene.reader.readSequences(["held": 4, "new": 3])
                let row = try #require(try await failures.list(on: scene.service.connection).first)
                try await scene.service.connection.execute(script: "UPDATE outbox_failed SET headers = NULL")
                try await failures.retry(row.id, on: scene.service.connection)
                // New rows of this key and of another key are written while the relay sends the old rows.
                for number in Int64(0)..<20 {
                    try await scene.service.commit(scene.topic, "held", 3_001 + number * 10...3_010 + number * 10)
                    try await scene.service.commit(scene.topic, "new", 4 + number...4 + number)
                }
                try await scene.reader.readSequences(["held": 3_200, "new": 23])
                try await eventually { try await scene.service.count() == 0 }
            }
        }
    }

    @Test func startBehindDeadRowsWorksWithinTheStatementTimeout() async throws {
        try await RelayScene.run { scene in
            let pin = try await Service(scene.postgres)
            try await pin.connection.execute(
                script: "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM outbox")
            try await scene.service.commit(scene.topic, "dead", 1...500_000)
            try await scene.service.connection.execute(script: "DELETE FROM outbox")
            try await scene.service.commit(scene.topic, "a", 1...3)
            var hasty = scene.postgres
            hasty.statementTimeoutMs = 60
            var configuration = quickConfiguration()
            configuration.sweepIntervalMs = 100
            try await withRelay(configuration, hasty, scene.kafka) {
                try await scene.reader.readSequences(["a": 3])
                try await scene.service.commit(scene.topic, "a", 4...5)
                try await scene.reader.readSequences(["a": 5])
            }
            try await pin.connection.execute(script: "ROLLBACK")
        }
    }

    /// A transaction that is open when the relay starts may still fill any gap among 500,000 dead rows. The relay must
    /// look for its rows before each page, but no statement may step over all the dead rows.
    @Test func writerOpenAtTheStartBehindDeadRowsIsWaitedForWithinTheStatementTimeout() async throws {
        try await RelayScene.run { scene in
            let pin = try await Service(scene.postgres)
            let writer = try await Service(scene.postgres)
            try await pin.connection.execute(
                script: "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM outbox")
            try await scene.service.commit(scene.topic, "dead", 1...250_000)
            try await writer.connection.execute(script: "BEGIN")
            try await writer.commit(scene.topic, "late", 1...1)
            try await scene.service.commit(scene.topic, "dead", 1...250_000)
            try await scene.service.connection.execute(script: "DELETE FROM outbox")
            var hasty = scene.postgres
            hasty.statementTimeoutMs = 60
            var configuration = quickConfiguration()
            configuration.sweepIntervalMs = 100
            try await withRelay(configuration, hasty, scene.kafka) {
                for number in Int64(1)...5 {
                    try await scene.service.commit(scene.topic, "a", number...number)
                    try await scene.reader.readSequences(["a": number])
                }
                try await writer.connection.execute(script: "COMMIT")
                try await scene.service.commit(scene.topic, "late", 2...2)
                try await scene.reader.readSequences(["a": 5, "late": 2])
            }
            try await pin.connection.execute(script: "ROLLBACK")
        }
    }

    @Test func rowsWithoutAKeyBelongToOneShard() async throws {
        try await RelayScene.run(migrating: "outbox-debezium") { scene in
            try await scene.service.connection.execute(
                script: """
                    CREATE TABLE outboxevent (id uuid NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
                        aggregatetype text NOT NULL, aggregateid text, type text NOT NULL, payload jsonb);
                    SELECT millrace_adopt_outbox('outboxevent');
                    INSERT INTO outboxevent (aggregatetype, aggregateid, type, payload)
                        SELECT '\(scene.topic)', CASE WHEN n % 2 = 0 THEN 'k-' || n END, 'Tested', to_jsonb(n)
                        FROM generate_series(1, 50) AS n
                    """)
            var configuration = quickConfiguration()
            configuration.table = "outboxevent"
            var layout = DebeziumLayout()
            layout.topic = "${routedByValue}"
            configuration.layout = .debezium(layout)
            configuration.shards = 3
            try await scene.withRelay(configuration) {
                try await eventually { try await scene.service.count(in: "outboxevent") == 0 }
                try await eventually {
                    try await scene.reader.poll()
                    return await scene.reader.records.count >= 50
                }
            }
            let values = await scene.reader.records.compactMap(\.value).compactMap(Int.init)
            #expect(values.count == 50)
            #expect(values.filter { $0 % 2 == 1 } == Array(stride(from: 1, through: 49, by: 2)), "in id order")
        }
    }

    @Test func relaysThatDivideTheKeysDifferentlyRefuseEachOther() async throws {
        try await RelayScene.run { scene in
            var configuration = quickConfiguration()
            configuration.shards = 2
            try await scene.withRelay(configuration) {
                try await scene.service.commit(scene.topic, "a", 1...3)
                try await scene.reader.readSequences(["a": 3])
                configuration.shards = 3
                let other = OutboxRelay(
                    configuration: configuration, postgres: scene.postgres, kafka: scene.kafka, logger: testLogger)
                let error = try await #require(throws: OutboxRelayError.self) { try await other.run() }
                #expect(error.code == .configuration)
                #expect(error.description.contains("shards = 2"))
                // The first relay keeps running, and another relay with the same number of shards may stand by.
                configuration.shards = 2
                try await scene.withRelay(configuration) {
                    try await scene.service.commit(scene.topic, "a", 4...6)
                    try await scene.reader.readSequences(["a": 6])
                }
            }
            configuration.shards = 3
            try await scene.withRelay(configuration) {
                try await scene.service.commit(scene.topic, "a", 7...9)
                try await scene.reader.readSequences(["a": 9])
            }
        }
    }
}

import Kafka
import Outbox
import Postgres
import TestKit
import Testing

/// Rows that cannot be published, whatever the reason. The relay moves them to `outbox_failed`, and rows of other keys
/// do not wait.
@Suite struct SetAsideTests {
    /// Runs a relay over the rows that `script` writes. The relay must publish the rows of key `good` and move `count`
    /// rows to `outbox_failed`.
    private func run(
        _ script: (String) -> String, settingAside count: Int64,
        _ body: (Service, Reader, OutboxFailures) async throws -> Void
    ) async throws {
        try await TestDatabase.withSchema(migrating: ["outbox"]) { postgres in
            try await TestKafka.withTopics { topics in
                let kafka = try TestKafka.clientConfiguration()
                let service = try await Service(postgres)
                try await service.connection.execute(script: script(topics[0]))
                try await service.commit(topics[0], "good", 1...3)
                let reader = try await Reader(kafka, topics, partitions: 1)
                try await withRelay(quickConfiguration(), postgres, kafka) {
                    try await reader.readSequences(["good": 3])
                    try await eventually { try await service.count(in: "outbox_failed") == count }
                    try await body(service, reader, OutboxFailures())
                }
                await reader.close()
            }
        }
    }

    private static let columns = """
        ALTER TABLE outbox ALTER event_id DROP NOT NULL, ALTER event_type DROP NOT NULL,
            ALTER aggregate_type DROP NOT NULL, ALTER aggregate_id DROP NOT NULL, ALTER sequence DROP NOT NULL,
            ALTER occurred_at DROP NOT NULL;
        """

    @Test(arguments: [
        ("event_id", "NULL"), ("event_type", "NULL"), ("aggregate_type", "NULL"), ("aggregate_id", "NULL"),
        ("sequence", "NULL"), ("occurred_at", "NULL"), ("occurred_at", "'infinity'"), ("occurred_at", "'-infinity'"),
        ("occurred_at", "'10000-01-01 00:00:00+00'"), ("occurred_at", "'0002-01-01 00:00:00+00 BC'"),
        ("headers", "'[]'"), ("topic", "'no topic'"),
    ])
    func aValueThatNoEnvelopeCanHaveIsSetAside(_ column: String, _ value: String) async throws {
        try await run(
            { topic in
                """
                \(Self.columns)
                INSERT INTO outbox (event_type, aggregate_type, aggregate_id, sequence, payload)
                VALUES ('Tested', '\(topic)', 'bad', 1, '{}');
                UPDATE outbox SET \(column) = \(value)
                """
            }, settingAside: 1
        ) { service, _, failures in
            let row = try #require(try await failures.list(on: service.connection).first)
            #expect(row.id == 1)
            // The relay removes the rows of other keys shortly afterwards.
            try await eventually { try await service.count() == 0 }
            #expect(try await service.count("payload IS NOT NULL", in: "outbox_failed") == 1)
        }
    }

    /// The columns do not fit `outbox_failed`. The relay stores the whole row there, its key waits, and a retry
    /// restores the row unchanged.
    @Test func aRowWhoseColumnsDoNotFitIsKeptWhole() async throws {
        try await run(
            { topic in
                """
                ALTER TABLE outbox ALTER metadata TYPE text, ADD extra bigint GENERATED ALWAYS AS (sequence * 2) STORED;
                INSERT INTO outbox (event_type, aggregate_type, aggregate_id, sequence, payload, metadata, topic, key)
                SELECT 'Tested', '\(topic)', 'whole', n, '{"n": 1.10}', '{not json', 'no topic', 'waiting'
                FROM generate_series(1, 2) n
                """
            }, settingAside: 1
        ) { service, reader, failures in
            let row = try #require(try await failures.list(on: service.connection).first)
            #expect(row.errorClass == "invalid_topic")
            #expect(row.topic == "no topic" && row.key == "waiting")
            #expect(try await service.count("key = 'waiting'") == 1, "the second row waits")
            let detail = try #require(try await failures.show(row.id, on: service.connection))
            #expect(detail.original?.contains("{not json") == true)
            try await service.connection.execute(
                script: """
                    UPDATE outbox_failed SET original = (original::jsonb || '{"metadata": "{}", "topic": null}')::json;
                    UPDATE outbox SET metadata = '{}', topic = NULL WHERE key = 'waiting'
                    """)
            try await failures.retry(row.id, on: service.connection)
            try await reader.readSequences(["waiting": 2, "good": 3])
            let history = try await failures.history(of: row.id, on: service.connection)
            #expect(history.map(\.action) == ["retry"])
            #expect(history.map(\.actor) == ["mara"] && history.map(\.reason) == ["corrected"])
        }
    }

    /// `outbox_failed` refuses the row. The row stays in the outbox, its key waits, other keys continue, and the relay
    /// reports a problem.
    @Test func aRowThatCannotEvenBeSetAsideHoldsOnlyItsKey() async throws {
        try await RelayScene.run { scene in
            try await scene.service.connection.execute(
                script: """
                    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'full'; END $$;
                    CREATE TRIGGER refuse BEFORE INSERT ON outbox_failed EXECUTE FUNCTION refuse()
                    """)
            try await scene.service.commit(scene.topic, "bad", 1...2)
            try await scene.service.connection.execute(script: "UPDATE outbox SET headers = '[]' WHERE sequence = 1")
            let told = Told()
            try await withRelay(quickConfiguration(), scene.postgres, scene.kafka, onProgress: { told.append($0) }) {
                try await eventually { told.all.last?.trouble?.contains("row 1") == true }
                for number in Int64(1)...5 {
                    try await scene.service.commit(scene.topic, "good", number...number)
                    try await scene.reader.readSequences(["good": number])
                }
                #expect(try await scene.service.count("aggregate_id = 'bad'") == 2)
                try await scene.service.connection.execute(script: "DROP TRIGGER refuse ON outbox_failed")
                try await eventually { try await scene.service.count(in: "outbox_failed") == 1 }
                try await eventually { told.all.last?.trouble == nil }
            }
            #expect(await scene.reader.firstOccurrences["bad"] == nil)
        }
    }

    /// The ids were reset. The newer row replaces the older one, which stays in the history.
    @Test func aRowWithTheIDOfADiscardedOneReplacesIt() async throws {
        try await run(
            { topic in
                """
                INSERT INTO outbox_failed (id, event_type, aggregate_type, aggregate_id, payload, error_class, error,
                    state, state_note)
                VALUES (1, 'Older', '\(topic)', 'older', '{"older": true}', 'invalid_topic', 'no', 'discarded', 'why');
                INSERT INTO outbox (event_type, aggregate_type, aggregate_id, sequence, payload, headers)
                VALUES ('Newer', '\(topic)', 'newer', 1, '{"newer": true}', '[]')
                """
            }, settingAside: 1
        ) { service, _, failures in
            try await eventually { try await service.count("event_type = 'Newer'", in: "outbox_failed") == 1 }
            let detail = try #require(try await failures.show(1, on: service.connection))
            #expect(detail.row.aggregateID == "newer" && !detail.row.isDiscarded)
            #expect(detail.payload == #"{"newer": true}"#)
            #expect(detail.history.map(\.action) == ["replaced"])
            #expect(
                try await service.count("row #>> '{payload,older}' = 'true'", in: "outbox_failed_history") == 1)
        }
    }

    /// Invalid headers do not stop an event that can be published without them.
    @Test func headersThatNoRecordMayHaveAreLeftOut() async throws {
        let forged = "00000000-0000-4000-8000-000000000666"
        let headers = #"""
            {"event-id\u0000x": "FORGED", "event-id": "FORGED", "Event-ID": "FORGED", "n": "\ud83d", "\udc00": "x",
             "millrace.reason": "failed", "__dlq.errors.topic": "t", "zero": "a\u0000b", "kept": "yes", "deep": [1, {}]}
            """#.replacing("FORGED", with: forged)
        try await run(
            { topic in
                """
                INSERT INTO outbox (event_id, event_type, aggregate_type, aggregate_id, sequence, payload, headers)
                VALUES ('01890a5d-ac96-774b-bcce-b302099a8057', 'Tested', '\(topic)', 'a', 1, '{}', '\(headers)'),
                    (gen_random_uuid(), 'Tested', '\(topic)', 'null', 1, '{}', 'null')
                """
            }, settingAside: 0
        ) { _, reader, _ in
            try await reader.readSequences(["a": 1, "null": 1, "good": 3])
            let record = try #require(await reader.records.first { $0.key == "a" })
            #expect(record.headers["event-id"] == "01890a5d-ac96-774b-bcce-b302099a8057")
            #expect(
                record.headerNames == [
                    "event-id", "event-type", "event-version", "content-type", "zero", "kept", "deep",
                ])
            #expect(record.headers["zero"] == "a\0b")
            #expect(record.headers["deep"] == "[1, {}]")
        }
    }

    /// A row without a key also belongs to a shard.
    @Test func aRowWithoutAKeyIsReadInAShardedOutbox() async throws {
        try await TestDatabase.withSchema(migrating: ["outbox"]) { postgres in
            let service = try await Service(postgres)
            try await service.connection.execute(script: Self.columns)
            try await service.connection.execute(
                script: """
                    INSERT INTO outbox (event_type, aggregate_type, aggregate_id, sequence, payload)
                    VALUES ('Tested', 'Order', NULL, 1, '{}')
                    """)
            var configuration = quickConfiguration()
            configuration.shards = 3
            let kafka = try TestKafka.clientConfiguration()
            try await withRelay(configuration, postgres, kafka) {
                try await eventually { try await service.count(in: "outbox_failed") == 1 }
            }
        }
    }
}

import Kafka
import Outbox
import Postgres
import TestKit
import Testing

@Suite struct DebeziumLayoutTests {
    private static let table = """
        CREATE TABLE outboxevent (
            id uuid NOT NULL PRIMARY KEY, aggregatetype varchar(255) NOT NULL, aggregateid varchar(255) NOT NULL,
            type varchar(255) NOT NULL, payload jsonb, tenant text, number bigint, at timestamptz DEFAULT now()
        )
        """

    private func configuration(_ layout: DebeziumLayout) -> OutboxRelayConfiguration {
        var configuration = quickConfiguration()
        configuration.table = "outboxevent"
        configuration.layout = .debezium(layout)
        return configuration
    }

    @Test func rowsArePublishedAsTheEventRouterDoes() async throws {
        try await RelayScene.run(migrating: "outbox-debezium") { scene in
            try await scene.service.connection.execute(script: Self.table)
            try await scene.service.connection.execute(
                script: """
                    INSERT INTO outboxevent (id, aggregatetype, aggregateid, type, payload, tenant) VALUES
                    ('01890a5d-ac96-774b-bcce-b302099a8057', '\(scene.topic)', 'o-1', 'OrderCreated', '{"a":1}', 'x');
                    SELECT millrace_adopt_outbox('outboxevent');
                    INSERT INTO outboxevent (id, aggregatetype, aggregateid, type, payload, tenant) VALUES
                    ('01890a5d-ac96-774b-bcce-b302099a8058', '\(scene.topic)', 'o-1', 'OrderDeleted', NULL, NULL)
                    """)
            var layout = DebeziumLayout()
            layout.topic = "${routedByValue}"
            layout.headerColumns = ["tenant": "tenant-id", "type": "eventType"]
            try await scene.withRelay(configuration(layout)) {
                try await eventually {
                    try await scene.reader.poll()
                    return await scene.reader.records.count == 2
                }
                try await eventually { try await scene.service.count(in: "outboxevent") == 0 }
            }
            let records = await scene.reader.records
            #expect(records.map(\.key) == ["o-1", "o-1"])
            #expect(records.map(\.value) == [#"{"a": 1}"#, nil], "the second is a tombstone")
            #expect(
                records[0].headers == [
                    "id": "01890a5d-ac96-774b-bcce-b302099a8057", "tenant-id": "x", "eventType": "OrderCreated",
                ])
            #expect(records[1].headers["tenant-id"] == "NULL")
        }
    }

    @Test func envelopeIsMadeOfConfiguredColumns() async throws {
        try await RelayScene.run(migrating: "outbox-debezium") { scene in
            try await scene.service.connection.execute(script: Self.table)
            try await scene.service.connection.execute(
                script: """
                    SELECT millrace_adopt_outbox('outboxevent');
                    INSERT INTO outboxevent (id, aggregatetype, aggregateid, type, payload, number)
                    SELECT gen_random_uuid(), '\(scene.topic)', 'o-1', 'Tested', '{}', n FROM generate_series(1, 50) n
                    """)
            var layout = DebeziumLayout()
            layout.topic = "${routedByValue}"
            layout.envelope = true
            layout.sequence = "number"
            layout.timestamp = "at"
            try await scene.withRelay(configuration(layout)) {
                try await scene.reader.readSequences(["o-1": 50])
            }
            #expect(await scene.reader.records[0].headers["event-type"] == "Tested")
        }
    }

    @Test func failedRowGoesBackWhole() async throws {
        try await RelayScene.run(migrating: "outbox-debezium") { scene in
            try await scene.service.connection.execute(script: Self.table)
            try await scene.service.connection.execute(
                script: """
                    SELECT millrace_adopt_outbox('outboxevent');
                    INSERT INTO outboxevent (id, aggregatetype, aggregateid, type, payload, tenant)
                    VALUES (gen_random_uuid(), 'no topic', 'o-1', 'Tested', '{"a":1.10}', 'x')
                    """)
            var layout = DebeziumLayout()
            layout.topic = "${routedByValue}"
            let failures = OutboxFailures(configuration(layout))
            try await scene.withRelay(configuration(layout)) {
                try await eventually { try await scene.service.count(in: "outbox_failed") == 1 }
                let row = try #require(try await failures.list(on: scene.service.connection).first)
                #expect(row.errorClass == "invalid_topic")
                #expect(row.aggregateID == "o-1")
                // The operator corrects the row and then retries it.
                try await scene.service.connection.execute(
                    script: """
                        UPDATE outbox_failed SET original = (
                            original::jsonb || '{"aggregatetype": "\(scene.topic)"}')::json
                        """)
                try await failures.retry(row.id, on: scene.service.connection)
                try await eventually {
                    try await scene.reader.poll()
                    return await scene.reader.records.count == 1
                }
            }
            #expect(await scene.reader.records[0].value == #"{"a": 1.10}"#)
        }
    }

    @Test func missingPositionSaysWhatToRun() async throws {
        try await TestDatabase.withSchema(migrating: ["outbox-debezium"]) { postgres in
            let service = try await Service(postgres)
            try await service.connection.execute(script: Self.table)
            let relay = OutboxRelay(
                configuration: configuration(DebeziumLayout()), postgres: postgres,
                kafka: try TestKafka.clientConfiguration(), logger: testLogger)
            let error = try await #require(throws: OutboxRelayError.self) { try await relay.run() }
            #expect(error.description.contains("millrace_adopt_outbox('outboxevent')"))
        }
    }

    /// Creates a table with `columns`, adopts it, inserts rows with `insert`, and runs a relay until it has published
    /// `count` records. The timestamps of the rows may be far in the past, so the topic keeps records of any age.
    private func run(
        columns: String, _ layout: DebeziumLayout, count: Int, insert: (String) -> String,
        _ body: (Service, [PublishedRecord]) async throws -> Void
    ) async throws {
        try await TestDatabase.withSchema(migrating: ["outbox-debezium"]) { postgres in
            try await TestKafka.withTopics(settings: ["retention.ms": "-1"]) { topics in
                let kafka = try TestKafka.clientConfiguration()
                let service = try await Service(postgres)
                try await service.connection.execute(
                    script: "CREATE TABLE outboxevent (\(columns)); SELECT millrace_adopt_outbox('outboxevent')")
                try await service.connection.execute(script: insert(topics[0]))
                var layout = layout
                layout.topic = "${routedByValue}"
                let reader = try await Reader(kafka, topics, partitions: 1)
                try await withRelay(configuration(layout), postgres, kafka) {
                    try await eventually {
                        try await reader.poll()
                        return await reader.records.count >= count
                    }
                    try await eventually { try await service.count(in: "outboxevent") == 0 }
                    try await body(service, await reader.records)
                }
                #expect(await reader.records.count == count)
                await reader.close()
            }
        }
    }

    private static let common = "aggregatetype text, aggregateid text, type text, payload text"

    @Test(arguments: [("bigint", "17", "17"), ("text", "'a-1'", "a-1")])
    func anIDThatIsNoUUIDIsPublishedAsItIs(_ type: String, _ value: String, _ header: String) async throws {
        try await run(
            columns: "id \(type), \(Self.common)", DebeziumLayout(), count: 1,
            insert: { "INSERT INTO outboxevent VALUES (\(value), '\($0)', 'o-1', 'Tested', 'any text')" }
        ) { _, records in
            #expect(records[0].headers == ["id": header])
            #expect(records[0].value == "any text")
        }
    }

    @Test func anEnvelopesIDIsTheSameEachTimeAndNoOtherRows() async throws {
        var layout = DebeziumLayout()
        layout.envelope = true
        layout.sequence = "number"
        layout.timestamp = "at"
        let uuid = "01890a5d-ac96-774b-bcce-b302099a8057"
        try await run(
            columns: "id text, \(Self.common), number text, at text", layout, count: 4,
            insert: { topic in
                """
                INSERT INTO outboxevent VALUES
                ('1', '\(topic)', 'o-1', 'Tested', '{}', '1', '2026-03-01T12:00:00Z'),
                ('1', '\(topic)', 'o-1', 'Tested', '{}', '1', '2026-03-01T12:00:00Z'),
                ('1', '\(topic)', 'o-2', 'Tested', '{}', '1', '2026-03-01T12:00:00Z'),
                ('\(uuid)', '\(topic)', 'o-1', 'Tested', '{}', '2', '2026-03-01T12:00:00Z'),
                ('2', '\(topic)', 'bad number', 'Tested', '{}', 'x', '2026-03-01T12:00:00Z'),
                ('3', '\(topic)', 'bad time', 'Tested', '{}', '1', 'yesterday'),
                (NULL, '\(topic)', 'no id', 'Tested', '{}', '1', '2026-03-01T12:00:00Z'),
                ('4', NULL, 'no type', 'Tested', '{}', '1', '2026-03-01T12:00:00Z')
                """
            }
        ) { service, records in
            let ids = records.map { $0.headers["event-id"] }
            #expect(ids[0] == ids[1] && ids[0] != ids[2] && ids[3] == uuid)
            #expect(ids[0]?.dropFirst(14).first == "8" && ids[0]?.dropFirst(19).first == "8")
            let time: Int64 = 1_772_366_400_000
            #expect(records.allSatisfy { $0.timestampMs == time })
            let failures = try await OutboxFailures(configuration(layout)).list(on: service.connection)
            #expect(failures.map(\.aggregateID) == ["bad number", "bad time", "no id", "no type"])
            #expect(failures.map(\.sourceID) == ["2", "3", nil, "4"])
        }
    }

    @Test func theEventsTimeIsTheRecords() async throws {
        var layout = DebeziumLayout()
        layout.timestamp = "at"
        try await run(
            columns: "id uuid, \(Self.common), at bigint", layout, count: 1,
            insert: {
                """
                INSERT INTO outboxevent VALUES (gen_random_uuid(), '\($0)', 'o-1', 'Tested', '{}', 1700000000123)
                """
            }
        ) { _, records in #expect(records[0].timestampMs == 1_700_000_000_123) }
    }

    /// Without an envelope, the relay itself writes only the header `id`.
    @Test func headerColumnsAreNeverDropped() async throws {
        var layout = DebeziumLayout()
        layout.headerColumns = ["type": "event-type", "kind": "content-type"]
        try await run(
            columns: "id uuid, \(Self.common), kind text", layout, count: 1,
            insert: {
                "INSERT INTO outboxevent VALUES (gen_random_uuid(), '\($0)', 'o-1', 'Tested', '{}', 'text/\\ud83d')"
            }
        ) { _, records in
            #expect(records[0].headers["event-type"] == "Tested")
            #expect(records[0].headers["content-type"] == "text/\\ud83d")
        }
        #expect(configuration(layout).validate() == [])
        layout.headerColumns = ["type": "ID", "kind": "millrace.reason", "none": ""]
        #expect(configuration(layout).validate().count == 3)
        layout.headerColumns = ["kind": "content-type"]
        layout.envelope = true
        layout.sequence = "number"
        layout.timestamp = "at"
        #expect(configuration(layout).validate().count == 1)
    }

    /// Users of Debezium delete a row in the same transaction that inserts it.
    @Test func rowsThatTheirOwnTransactionDeletesAreKeptForTheRelay() async throws {
        let own = """
            BEGIN;
            INSERT INTO outboxevent (id, aggregatetype, aggregateid, type, payload)
            VALUES (gen_random_uuid(), 'TOPIC', 'o-1', 'Tested', 'BODY');
            SAVEPOINT inner_one;
            DELETE FROM outboxevent;
            RELEASE inner_one;
            COMMIT;
            """
        try await run(
            columns: "id uuid PRIMARY KEY, \(Self.common), size int GENERATED ALWAYS AS (length(payload)) STORED",
            DebeziumLayout(), count: 1,
            insert: { topic in
                let lost = own.replacing("TOPIC", with: topic).replacing("BODY", with: "lost")
                return lost + "SELECT millrace_keep_outbox_rows('outboxevent');" + lost.replacing("lost", with: "kept")
            }
        ) { _, records in #expect(records[0].value == "kept") }
    }

    @Test func theCheckTellsOfRowsThatNobodyCanSee() async throws {
        try await TestDatabase.withSchema(migrating: ["outbox-debezium"]) { postgres in
            let service = try await Service(postgres)
            try await service.connection.execute(
                script: Self.table + """
                    ; SELECT millrace_adopt_outbox('outboxevent');
                    ALTER TABLE outboxevent ALTER millrace_position DROP IDENTITY;
                    ALTER TABLE outboxevent ALTER millrace_position DROP NOT NULL;
                    DROP INDEX outboxevent_millrace_position_idx
                    """)
            let outbox = configuration(DebeziumLayout())
            let notes = try await OutboxRelay.check(outbox, on: service.connection)
            #expect(notes.contains { $0.contains("SELECT millrace_keep_outbox_rows('outboxevent')") })
            #expect(notes.contains { $0.contains("no unique index on millrace_position") })
            #expect(notes.contains { $0.contains("may be NULL") })
            try await service.connection.execute(
                script: """
                    SELECT millrace_keep_outbox_rows('outboxevent');
                    ALTER TABLE outboxevent ALTER millrace_position SET NOT NULL;
                    CREATE UNIQUE INDEX ON outboxevent (millrace_position)
                    """)
            #expect(try await OutboxRelay.check(outbox, on: service.connection) == [])
        }
    }

    @Test func envelopeNeedsItsColumns() {
        var layout = DebeziumLayout()
        layout.envelope = true
        #expect(configuration(layout).validate().count == 1)
        layout.sequence = "number"
        layout.timestamp = "at"
        #expect(configuration(layout).validate() == [])
    }
}

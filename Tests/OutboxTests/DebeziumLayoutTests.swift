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
        try await TestDatabase.withSchema(migrating: ["outbox-debezium"]) { postgres in
            try await TestKafka.withTopics { topics in
                let kafka = try TestKafka.clientConfiguration()
                let service = try await Service(postgres)
                try await service.connection.execute(script: Self.table)
                try await service.connection.execute(
                    script: """
                        INSERT INTO outboxevent (id, aggregatetype, aggregateid, type, payload, tenant) VALUES
                        ('01890a5d-ac96-774b-bcce-b302099a8057', '\(topics[0])', 'o-1', 'OrderCreated', '{"a":1}', 'x');
                        SELECT millrace_adopt_outbox('outboxevent');
                        INSERT INTO outboxevent (id, aggregatetype, aggregateid, type, payload, tenant) VALUES
                        ('01890a5d-ac96-774b-bcce-b302099a8058', '\(topics[0])', 'o-1', 'OrderDeleted', NULL, NULL)
                        """)
                var layout = DebeziumLayout()
                layout.topic = "${routedByValue}"
                layout.headerColumns = ["tenant": "tenant-id", "type": "eventType"]
                let reader = try await Reader(kafka, topics, partitions: 1)
                try await withRelay(configuration(layout), postgres, kafka) {
                    try await eventually {
                        try await reader.poll()
                        return await reader.records.count == 2
                    }
                    try await eventually { try await service.count(in: "outboxevent") == 0 }
                }
                let records = await reader.records
                #expect(records.map(\.key) == ["o-1", "o-1"])
                #expect(records.map(\.value) == [#"{"a": 1}"#, nil], "the second is a tombstone")
                #expect(
                    records[0].headers == [
                        "id": "01890a5d-ac96-774b-bcce-b302099a8057", "tenant-id": "x", "eventType": "OrderCreated",
                    ])
                #expect(records[1].headers["tenant-id"] == "NULL")
                await reader.close()
            }
        }
    }

    @Test func envelopeIsMadeOfConfiguredColumns() async throws {
        try await TestDatabase.withSchema(migrating: ["outbox-debezium"]) { postgres in
            try await TestKafka.withTopics { topics in
                let kafka = try TestKafka.clientConfiguration()
                let service = try await Service(postgres)
                try await service.connection.execute(script: Self.table)
                try await service.connection.execute(
                    script: """
                        SELECT millrace_adopt_outbox('outboxevent');
                        INSERT INTO outboxevent (id, aggregatetype, aggregateid, type, payload, number)
                        SELECT gen_random_uuid(), '\(topics[0])', 'o-1', 'Tested', '{}', n FROM generate_series(1, 50) n
                        """)
                var layout = DebeziumLayout()
                layout.topic = "${routedByValue}"
                layout.envelope = true
                layout.sequence = "number"
                layout.timestamp = "at"
                let reader = try await Reader(kafka, topics, partitions: 1)
                try await withRelay(configuration(layout), postgres, kafka) {
                    try await reader.readSequences(["o-1": 50])
                }
                #expect(await reader.records[0].headers["event-type"] == "Tested")
                await reader.close()
            }
        }
    }

    @Test func failedRowGoesBackWhole() async throws {
        try await TestDatabase.withSchema(migrating: ["outbox-debezium"]) { postgres in
            try await TestKafka.withTopics { topics in
                let kafka = try TestKafka.clientConfiguration()
                let service = try await Service(postgres)
                try await service.connection.execute(script: Self.table)
                try await service.connection.execute(
                    script: """
                        SELECT millrace_adopt_outbox('outboxevent');
                        INSERT INTO outboxevent (id, aggregatetype, aggregateid, type, payload, tenant)
                        VALUES (gen_random_uuid(), 'no topic', 'o-1', 'Tested', '{"a":1.10}', 'x')
                        """)
                var layout = DebeziumLayout()
                layout.topic = "${routedByValue}"
                let failures = OutboxFailures(configuration(layout))
                let reader = try await Reader(kafka, topics, partitions: 1)
                try await withRelay(configuration(layout), postgres, kafka) {
                    try await eventually { try await service.count(in: "outbox_failed") == 1 }
                    let row = try #require(try await failures.list(on: service.connection).first)
                    #expect(row.errorClass == "invalid_topic")
                    #expect(row.aggregateID == "o-1")
                    // The operator corrects the row before it is tried again.
                    try await service.connection.execute(
                        script: """
                            UPDATE outbox_failed SET original = (
                                original::jsonb || '{"aggregatetype": "\(topics[0])"}')::json
                            """)
                    #expect(try await failures.retry([row.id], on: service.connection) == 1)
                    try await eventually {
                        try await reader.poll()
                        return await reader.records.count == 1
                    }
                }
                #expect(await reader.records[0].value == #"{"a": 1.10}"#)
                await reader.close()
            }
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

    @Test func envelopeNeedsItsColumns() {
        var layout = DebeziumLayout()
        layout.envelope = true
        #expect(configuration(layout).validate().count == 1)
        layout.sequence = "number"
        layout.timestamp = "at"
        #expect(configuration(layout).validate() == [])
    }
}

import Foundation
import Kafka
import Postgres
import Projections
import TestKit
import Testing

@testable import SQLProjections

@Suite struct EnvelopeTests {
    /// One record, and the columns that SQL gets from it.
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let envelope: String
        var key = "k"
        let value: String?
        var headers: [(String, String)] = []
        /// type, aggregate type, aggregate id, sequence, occurred_at, payload; nil for NULL.
        let seen: [String?]
        var testDescription: String { name }
    }

    private static let id = "0b9f1c9e-5d5b-4b0e-9a30-1f6a5d6d2c11"

    static let cases = [
        Case(
            name: "debezium", envelope: "format = \"debezium\"", value: #"{"a": 1}"#,
            headers: [("id", id), ("eventType", "OrderCreated")],
            seen: ["OrderCreated", "TOPIC", "k", nil, nil, #"{"a": 1}"#]),
        Case(
            name: "debezium with its payload as text", envelope: "format = \"debezium\"", value: #""{\"a\": \"é\"}""#,
            headers: [("id", id), ("type", "OrderCreated")],
            seen: ["OrderCreated", "TOPIC", "k", nil, nil, #"{"a": "é"}"#]),
        Case(
            name: "structured CloudEvent", envelope: "format = \"cloudevents\"",
            value: """
                {"specversion":"1.0","id":"17","type":"a.b","source":"/shop","subject":"o1","sequence":"004",\
                "time":"2026-05-01T10:00:00Z","data":{"a":[1,2]}}
                """,
            headers: [("content-type", "application/cloudevents+json; charset=UTF-8")],
            seen: ["a.b", "/shop", "o1", "4", "2026-05-01 10:00:00", #"{"a": [1, 2]}"#]),
        Case(
            name: "binary CloudEvent without a subject", envelope: "format = \"cloudevents\"", key: "o2",
            value: #"{"a": null}"#,
            headers: [
                ("content-type", "application/json"), ("ce_id", "17"), ("ce_type", "a.b"), ("ce_source", "/shop"),
                ("ce_time", "2026-05-01T12:00:00+02:00"),
            ], seen: ["a.b", "/shop", "o2", nil, "2026-05-01 10:00:00", #"{"a": null}"#]),
        Case(
            name: "change of a row", envelope: "format = \"changelog\"", value: #"{"id": 7}"#,
            seen: ["Upserted", "TOPIC", "k", nil, nil, #"{"id": 7}"#]),
        Case(
            name: "row that is gone", envelope: "format = \"changelog\"\ntombstone_type = \"Gone\"", value: nil,
            seen: ["Gone", "TOPIC", "k", nil, nil, nil]),
        Case(
            name: "fields at other places",
            envelope: """
                event_id = "/meta/id"
                type = "/meta/a~1b | =Unknown"
                aggregate_type = "=Thing"
                aggregate_id = "header:who"
                sequence = "position"
                occurred_at = "/meta/at | timestamp"
                payload = "/meta"
                """, value: #"{"meta": {"id": 99, "a/b": null, "at": "2026-05-01T10:00:00Z"}, "more": {}}"#,
            headers: [("who", "w")],
            seen: [
                "Unknown", "Thing", "w", nil, "2026-05-01 10:00:00",
                #"{"at": "2026-05-01T10:00:00Z", "id": 99, "a/b": null}"#,
            ]),
    ]

    @Test(arguments: cases) func aRecordIsReadByItsMapping(_ sample: Case) async throws {
        try await Scene.with { scene in
            let (_, folder) = try scene.folder(
                [
                    "schema.sql": """
                    CREATE TABLE seen (type text, aggregate_type text, aggregate_id text, sequence text, at text,
                        payload text)
                    """,
                    "apply.sql": """
                    INSERT INTO seen SELECT type, aggregate_type, aggregate_id, sequence,
                        to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), payload FROM events
                    """,
                ], envelope: sample.envelope)
            let value = sample.value.map { Array($0.utf8) }
            try await scene.produce(sample.key, value, sample.headers)
            try await scene.run(scene.version(folder))
            let seen = try await scene.withConnection { connection in
                let rows = try await connection.execute(
                    .unprepared("SELECT * FROM \(folder.schemaName).seen"))
                #expect(rows.rowCount == 1)
                return try (0..<6).map { try rows.optionalString(0, $0) }
            }
            for (found, expected) in zip(seen, sample.seen) {
                // If the case gives no time, the broker's timestamp is used.
                if expected == nil, found?.hasPrefix("20") == true { continue }
                #expect(found == (expected == "TOPIC" ? scene.topic : expected))
            }
        }
    }

    /// One read model of our own events and of a changelog: each topic has its form, its tombstones and its policy.
    @Test func topicsOfTwoOriginsAreReadByTheirOwnForms() async throws {
        try await Scene.with { scene in
            let changes = scene.topic + ".public.rates"
            let place = try Folder([
                "projection.toml": """
                [projection]
                name = "\(scene.name)"
                topics = ["\(scene.topic)", "\(changes)"]
                [topics."\(changes)"]
                format = "changelog"
                type = "=RateChanged"
                aggregate_type = "=Rate"
                sequence = "/version"
                tombstone_type = "RateRemoved"
                unknown_types = "fail"
                """,
                "schema.sql": "CREATE TABLE seen (line text)",
                "Deposited.sql": Self.line, "RateChanged.sql": Self.line,
            ])
            let folder = try ProjectionFolder(path: place.path)
            let route = DeadLetterRoute(consumer: scene.name)
            try await TestKafka.withTopics(named: [changes, route.letterTopic, route.retryTopic], partitions: 1) {
                try await scene.produce("a1", Scene.event("Deposited", "a1", 4, #"{"n": 1}"#))
                // Passed over: a type and a tombstone that nobody asked for.
                try await scene.produce("a1", Scene.event("Strange", "a1", 5, "{}"))
                try await scene.produce("a1", nil)
                try await scene.produce("EUR", Array(#"{"n": 2, "version": 7}"#.utf8), to: changes)
                // A type without a file, on the topic where this is an error.
                try await scene.produce("USD", nil, to: changes)
                try await scene.produce("GBP", Array(#"{"n": 3, "version": 1}"#.utf8), to: changes)
                try await scene.run(scene.version(folder)) { $0.onFailure = .park(route) }
                #expect(
                    try await scene.column("SELECT line FROM \(folder.schemaName).seen ORDER BY 1") == [
                        "Deposited|Account|a1|4|1", "RateChanged|Rate|EUR|7|2", "RateChanged|Rate|GBP|1|3",
                    ])
                #expect(
                    try await scene.column(
                        "SELECT concat_ws(' ', topic = '\(changes)', error_class) FROM parked_events")
                        == ["t unknown_type"])
            }
        }
    }

    private static let line = """
        INSERT INTO seen SELECT concat_ws('|', type, aggregate_type, aggregate_id, sequence, payload ->> 'n') FROM events
        """

    /// A second delivery of an event whose id is not a UUID is recognized. The same id in another topic is another
    /// event.
    @Test func anIDThatIsNoUUIDStandsForOneEvent() async throws {
        try await Scene.with { scene in
            let (_, folder) = try scene.folder(
                [
                    "schema.sql": "CREATE TABLE seen (id uuid)",
                    "apply.sql": "INSERT INTO seen SELECT event_id FROM events",
                ], envelope: "format = \"debezium\"")
            for id in ["1", "2", "1"] {
                try await scene.produce("k", Array("{}".utf8), [("id", id), ("type", "A")])
            }
            try await scene.run(scene.version(folder))
            #expect(try await scene.column("SELECT count(DISTINCT id)::text FROM \(folder.schemaName).seen") == ["2"])
            #expect(try await scene.column("SELECT count(*)::text FROM \(folder.schemaName).seen") == ["2"])
        }
    }

    @Test(arguments: [
        (#"{"eventId""#, "invalid_json"), ("[]", "missing_field"),
        (#"{"eventId":"x","eventType":""}"#, "missing_field"),
        (#"{"eventId":"x","eventType":"A","aggregateId":"a","timestamp":"1"}"#, "invalid_field"),
        (#"{"eventId":"x","eventType":"A","aggregateId":"a","sequence":-1}"#, "invalid_field"),
        (#"{"eventId":"x","eventType":"A","aggregateId":"a"}"#, "missing_field"),
    ]) func aRecordThatIsNoEventIsParked(_ value: String, _ errorClass: String) async throws {
        try await Scene.with { scene in
            let (_, folder) = try scene.folder(["schema.sql": "", "apply.sql": "SELECT 1"])
            let route = DeadLetterRoute(consumer: scene.name)
            try await TestKafka.withTopics(named: [route.letterTopic, route.retryTopic], partitions: 1) {
                try await scene.produce("k", Array(value.utf8))
                try await scene.run(scene.version(folder)) { $0.onFailure = .park(route) }
                #expect(try await scene.column("SELECT error_class FROM parked_events") == [errorClass])
            }
        }
    }
}

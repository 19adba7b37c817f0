import EmbeddedKafka
import Leadership
import Logging
import Postgres
import StreamCore
import TestKit
import Testing
import Traces
import Tracing

@testable import Kafka
@testable import Outbox

/// How the relay handles rows that belong to a trace.
@Suite struct RelayTracingTests {
    private static let sampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    private static let unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
    /// The headers of each row as JSON, by the key of the row.
    private static let rows = [
        "sampled": #"{"a":"1","traceparent":"\#(sampled)","tracestate":"x=y","b":"2"}"#,
        "unsampled": #"{"traceparent":"\#(unsampled)"}"#,
        "upper": #"{"traceparent":"\#(sampled.uppercased())"}"#, "short": #"{"traceparent":"00-ab-cd-01"}"#,
        "number": #"{"traceparent":1}"#, "null": #"{"traceparent":null}"#, "other": #"{"Traceparent":"\#(sampled)"}"#,
        "none": "{}", "nothing": "NULL",
    ]

    private static func publish(_ scene: RelayScene) async throws -> [String: PublishedRecord] {
        for (key, headers) in rows {
            try await scene.service.connection.execute(
                script: """
                    INSERT INTO outbox (event_type, aggregate_type, aggregate_id, sequence, payload, headers)
                    VALUES ('Tested', '\(scene.topic)', '\(key)', 1, '{}', \(headers == "NULL" ? "NULL" : "'\(headers)'"))
                    """)
        }
        try await scene.withRelay(quickConfiguration()) {
            try await eventually {
                try await scene.reader.poll()
                return await scene.reader.records.count == rows.count
            }
        }
        return Dictionary(uniqueKeysWithValues: await scene.reader.records.map { ($0.key, $0) })
    }

    /// The expected headers of each record when the relay copies the headers of its row unchanged.
    private static let passedOn: [String: [String: String]] = [
        "sampled": ["a": "1", "traceparent": sampled, "tracestate": "x=y", "b": "2"],
        "unsampled": ["traceparent": unsampled], "upper": ["traceparent": sampled.uppercased()],
        "short": ["traceparent": "00-ab-cd-01"], "number": ["traceparent": "1"], "null": ["traceparent": "NULL"],
        "other": ["Traceparent": sampled], "none": [:], "nothing": [:],
    ]

    private static let own: Set = ["event-id", "event-type", "event-version", "correlation-id", "content-type"]

    private static func headers(_ record: PublishedRecord?) -> [String: String]? {
        record?.headers.filter { !own.contains($0.key) }
    }

    @Test func withoutATracerHeadersArePassedOnAsTheyAre() async throws {
        try await RelayScene.run { scene in
            let records = try await Self.publish(scene)
            for (key, expected) in Self.passedOn { #expect(Self.headers(records[key]) == expected, "\(key)") }
            #expect(records["sampled"]?.headerNames.suffix(4) == ["a", "traceparent", "tracestate", "b"])
        }
    }

    @Test func aRowOfARecordedTraceHasASpanThatItsRecordNames() async throws {
        let spans = RecordedSpans()
        try await RelayScene.run(partitions: 3) { scene in
            let records = try await withTracer(spans.tracer()) { try await Self.publish(scene) }
            for (key, expected) in Self.passedOn where key != "sampled" {
                #expect(Self.headers(records[key]) == expected, "\(key)")
            }
            let span = try #require(spans.all.first)
            #expect(spans.all.count == 1)
            #expect(span.name == "send \(scene.topic)" && span.kind == .producer && span.status == nil)
            #expect(span.context.traceID.text == "0af7651916cd43dd8448eb211c80319c")
            #expect(span.parentID == 0xb7ad_6b71_6920_3331)
            let record = try #require(records["sampled"])
            var expected = Self.passedOn["sampled"] ?? [:]
            expected["traceparent"] = span.context.traceparent
            #expect(Self.headers(record) == expected)
            #expect(record.headerNames.suffix(4) == ["a", "traceparent", "tracestate", "b"], "in the order of the row")
            #expect(span.text("messaging.system") == "kafka" && span.text("messaging.operation.type") == "send")
            #expect(span.text("messaging.operation.name") == "send")
            #expect(span.text("messaging.destination.name") == scene.topic)
            #expect(span.text("messaging.destination.partition.id") == String(record.partition))
            #expect(span.text("messaging.kafka.offset").flatMap { Int($0) }.map { $0 >= 0 } == true)
            #expect(span.text("messaging.message.id") == record.headers["event-id"])
            #expect(span.text("messaging.message.body.size") == record.value.map { String($0.utf8.count) })
        }
    }

    // MARK: the end of spans

    private static func flight() -> Flight {
        let reports = RelayReports(shard: 0, logger: testLogger) { _ in }
        return Flight(OutboxRelayConfiguration(), newsSignal: WakeSignal(), roomSignal: WakeSignal(), reports: reports)
    }

    private static func admit(_ id: Int64, _ tracer: PublishTracer, in flight: Flight) throws -> UInt64 {
        let header = Array(sampled.utf8)
        let begun = tracer.begin(header.span)
        let span = try #require(begun)
        span.describe(topic: "t\(id)", eventID: nil, bytes: 1, shard: 0)
        let answer = flight.admit(id: id, bytes: 1, occurredAt: Timestamp(microseconds: 0), probe: nil, span: span)
        guard case .admitted(let tag) = answer else { throw CancellationError() }
        return tag
    }

    @Test func aSpanEndsWithItsReport() throws {
        let spans = RecordedSpans()
        let tracer = try #require(PublishTracer(spans.tracer()))
        let flight = Self.flight()
        let tags = try (1...4).map { try Self.admit(Int64($0), tracer, in: flight) }
        #expect(spans.all.isEmpty)
        // The producer did not accept the fourth record. Its row is sent again, with another span.
        flight.recall(tags[3])
        flight.report([
            DeliveryReport(tag: tags[0], error: nil, partition: 5, offset: 7),
            DeliveryReport(tag: tags[1], error: .closed("test"), partition: 6, offset: -1),
        ])
        #expect(spans.all.map(\.name) == ["send t1", "send t2"])
        #expect(spans.all[0].text("messaging.kafka.offset") == "7" && spans.all[0].status == nil)
        #expect(spans.all[0].text("messaging.destination.partition.id") == "5")
        #expect(spans.all[1].status?.code == .error)
        #expect(spans.all[1].text("error.type") == KafkaError.closed("test").name)
        // The third record has no report yet when the relay drops its producer.
        _ = flight.abandonProducer()
        #expect(spans.all.map(\.name) == ["send t1", "send t2", "send t3"])
        #expect(spans.all[2].text("error.type") == "abandoned" && spans.all[2].status?.code == .error)
        flight.report([DeliveryReport(tag: tags[2], error: nil, partition: 5, offset: 8)])
        #expect(spans.all.count == 3)
    }

    @Test func withoutATracerThereIsNone() {
        #expect(PublishTracer(nil) == nil)
        #expect(PublishTracer(InstrumentationSystem.activeTracer) == nil)
    }
}

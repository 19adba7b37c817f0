import Foundation
import Testing
import Tracing

@testable import Traces

/// The bytes of OTLP/JSON, according to the specification's mapping and its examples.
@Suite struct OTLPTests {
    private static let encoder = OTLPTraces(
        resource: [("service.name", "outbox-relay"), ("service.version", "0.1.0")], scopeVersion: "0.1.0")

    private static func span(
        kind: SpanKind = .producer, parentID: UInt64? = 0xb7ad_6b71_6920_3331, attributes: SpanAttributes = [:],
        events: [SpanEvent] = [], links: [FinishedSpan.Link] = [], status: SpanStatus? = nil, state: String? = nil
    ) throws -> FinishedSpan {
        let text = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"
        return FinishedSpan(
            context: try #require(TraceContext(traceparent: text, state: state)), parentID: parentID,
            name: "send \"orders\"", kind: kind, start: 1_581_452_772_000_000_321, end: .max, attributes: attributes,
            events: events, links: links, droppedLinks: 0, droppedEvents: 0, status: status)
    }

    private static func first(_ spans: [FinishedSpan]) throws -> [String: Any] {
        let json = try JSONSerialization.jsonObject(with: Data(encoder.encode(spans)))
        let resources = (json as? [String: Any])?["resourceSpans"] as? [[String: Any]]
        let scopes = resources?.first?["scopeSpans"] as? [[String: Any]]
        return try #require((scopes?.first?["spans"] as? [[String: Any]])?.first)
    }

    @Test func aSpanIsWrittenByteForByte() throws {
        let span = try Self.span(
            attributes: ["messaging.system": "kafka", "messaging.kafka.offset": 42], status: SpanStatus(code: .error))
        let schema = "https://opentelemetry.io/schemas/1.30.0"
        let expected = """
            {"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"outbox-relay"}},\
            {"key":"service.version","value":{"stringValue":"0.1.0"}}]},\
            "scopeSpans":[{"scope":{"name":"millrace","version":"0.1.0"},\
            "spans":[{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"00f067aa0ba902b7","flags":1,\
            "parentSpanId":"b7ad6b7169203331","name":"send \\"orders\\"","kind":4,\
            "startTimeUnixNano":"1581452772000000321","endTimeUnixNano":"18446744073709551615",\
            "attributes":[{"key":"messaging.kafka.offset","value":{"intValue":"42"}},\
            {"key":"messaging.system","value":{"stringValue":"kafka"}}],"status":{"code":2}}],\
            "schemaUrl":"\(schema)"}],"schemaUrl":"\(schema)"}]}
            """
        #expect(String(decoding: Self.encoder.encode([span]), as: UTF8.self) == expected)
    }

    @Test(arguments: [(SpanKind.internal, 1), (.server, 2), (.client, 3), (.producer, 4), (.consumer, 5)])
    func kindsAreNumbers(_ kind: SpanKind, number: Int) throws {
        #expect(try Self.first([Self.span(kind: kind)])["kind"] as? Int == number)
    }

    @Test func statusIsANumberAndNothingWhereNothingWasSaid() throws {
        #expect(try Self.first([Self.span()])["status"] == nil)
        let good = try Self.first([Self.span(status: SpanStatus(code: .ok))])["status"] as? [String: Any]
        #expect(good?["code"] as? Int == 1 && good?["message"] == nil)
        let bad = try Self.first([Self.span(status: SpanStatus(code: .error, message: "late"))])["status"]
        #expect((bad as? [String: Any])?["code"] as? Int == 2)
        #expect((bad as? [String: Any])?["message"] as? String == "late")
    }

    @Test func aRootHasNoParentAndStateIsKept() throws {
        let root = try Self.first([Self.span(parentID: nil, state: "a=b")])
        #expect(root["parentSpanId"] == nil && root["traceState"] as? String == "a=b")
    }

    @Test(arguments: [
        (SpanAttribute.string("a\n"), #"{"stringValue":"a\n"}"#),
        (.int64(.min), #"{"intValue":"-9223372036854775808"}"#),
        (.int32(7), #"{"intValue":"7"}"#), (.bool(false), #"{"boolValue":false}"#),
        (.double(0.25), #"{"doubleValue":0.25}"#), (.double(.nan), #"{"doubleValue":"NaN"}"#),
        (.double(-.infinity), #"{"doubleValue":"-Infinity"}"#), (.double(1e300), #"{"doubleValue":1e+300}"#),
        (.int64Array([1, -2]), #"{"arrayValue":{"values":[{"intValue":"1"},{"intValue":"-2"}]}}"#),
        (.stringArray(["a"]), #"{"arrayValue":{"values":[{"stringValue":"a"}]}}"#),
        (.boolArray([]), #"{"arrayValue":{"values":[]}}"#),
        (.stringConvertible(Duration.seconds(1)), #"{"stringValue":"1.0 seconds"}"#),
    ])
    func valuesHaveTheirTypes(_ value: SpanAttribute, json: String) throws {
        var attributes = SpanAttributes()
        attributes.set("x", value: value)
        let text = String(decoding: Self.encoder.encode([try Self.span(attributes: attributes)]), as: UTF8.self)
        #expect(text.contains(#""attributes":[{"key":"x","value":\#(json)}]"#), "\(text)")
        #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(text.utf8)) }
    }

    @Test func eventsAndLinksAreWritten() throws {
        let linked = try #require(
            TraceContext(traceparent: "00-1af7651916cd43dd8448eb211c80319c-10f067aa0ba902b7-01"))
        let time = DefaultTracerClock.Timestamp(nanosecondsSinceEpoch: 5)
        let span = try Self.first([
            Self.span(
                events: [SpanEvent(name: "retried", at: time, attributes: ["n": 1])],
                links: [FinishedSpan.Link(context: linked, attributes: [:])])
        ])
        let event = try #require((span["events"] as? [[String: Any]])?.first)
        #expect(event["name"] as? String == "retried" && event["timeUnixNano"] as? String == "5")
        let link = try #require((span["links"] as? [[String: Any]])?.first)
        #expect(link["traceId"] as? String == "1af7651916cd43dd8448eb211c80319c")
        #expect(link["spanId"] as? String == "10f067aa0ba902b7" && link["attributes"] == nil)
    }
}

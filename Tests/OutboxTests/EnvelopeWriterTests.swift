import Foundation
import StreamCore
import Testing

@testable import Outbox

@Suite struct EnvelopeWriterTests {
    private func envelope(
        type: String = "OrderCreated", aggregateType: String = "Order", aggregateID: String = "o-1",
        sequence: Int64 = 1, correlationID: String? = nil, causationID: String? = nil, metadata: String? = nil,
        payload: String = "{}"
    ) throws -> String {
        var writer = EnvelopeWriter()
        let id = try #require(EventID("01890a5d-ac96-774b-bcce-b302099a8057"))
        let time = try #require(Timestamp("2026-03-01T12:34:56.789012Z"))
        let types = (Array(type.utf8), Array(aggregateType.utf8), Array(aggregateID.utf8))
        let (correlation, causation) = (Array((correlationID ?? "").utf8), Array((causationID ?? "").utf8))
        let (data, body) = (Array((metadata ?? "").utf8), Array(payload.utf8))
        let row = OutboxRow(
            id: 1, eventID: id, eventType: types.0.span, aggregateType: types.1.span, aggregateID: types.2.span,
            sequence: sequence, occurredAt: time, version: 2,
            correlationID: correlationID == nil ? nil : correlation.span,
            causationID: causationID == nil ? nil : causation.span, metadata: metadata == nil ? nil : data.span,
            payload: body.span)
        writer.write(row)
        let bytes = writer.bytes
        return String(decoding: bytes.indices.map { bytes[$0] }, as: UTF8.self)
    }

    @Test func writesAllMembersInOrder() throws {
        let text = try envelope(
            correlationID: "c-1", causationID: "e-0", metadata: #"{"source": "shop"}"#, payload: #"{"total": 12.50}"#)
        #expect(
            text == #"{"eventId":"01890a5d-ac96-774b-bcce-b302099a8057","eventType":"OrderCreated","#
                + #""aggregateId":"o-1","aggregateType":"Order","sequence":1,"#
                + #""timestamp":"2026-03-01T12:34:56.789012Z","version":2,"correlationId":"c-1","#
                + #""causationId":"e-0","metadata":{"source": "shop"},"payload":{"total": 12.50}}"#)
    }

    @Test func absentFieldsAreNull() throws {
        let text = try envelope()
        #expect(text.contains(#""correlationId":null,"causationId":null,"metadata":null,"payload":{}"#))
    }

    @Test(arguments: [
        #"a"b"#, #"back\slash"#, "line\nbreak\r\ttab", "\u{1}\u{1F}\u{7F}", "Zürich 東京 🚚", "", "</script>\u{2028}",
    ])
    func everyTextSurvives(text: String) throws {
        let json = try envelope(type: text, aggregateID: text, correlationID: text)
        let object = try #require(
            JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
        #expect(object["eventType"] as? String == text)
        #expect(object["aggregateId"] as? String == text)
        #expect(object["correlationId"] as? String == text)
    }

    @Test func payloadIsVerbatim() throws {
        let payload = "{ \"b\" : 1.10,\n\t\"a\":\"\\u00e9\", \"big\": 12345678901234567890.123 }"
        #expect(try envelope(payload: payload).hasSuffix("\"payload\":" + payload + "}"))
    }

    @Test func bufferIsReused() throws {
        #expect(try envelope(aggregateID: "x", sequence: -5).contains(#""sequence":-5"#))
    }
}

@Suite struct TopicRuleTests {
    @Test func aggregateTypeInLowerCaseAndSuffix() {
        #expect(TopicRule(suffix: "-events").name(for: "Order") == "order-events")
    }

    @Test func template() {
        #expect(TopicRule(template: "outbox.event.${routedByValue}").name(for: "Order") == "outbox.event.Order")
        #expect(TopicRule(template: "all").name(for: "Order") == "all")
    }

    @Test func namesAreFoundAgain() {
        var names = TopicNames(rule: TopicRule(suffix: "-events"))
        let (order, custom) = (Array("Order".utf8), Array("audit".utf8))
        for _ in 0..<2 {
            let byType = names.topic(aggregateType: order.span, explicit: nil).name
            let byName = names.topic(aggregateType: order.span, explicit: custom.span).name
            #expect(byType == "order-events")
            #expect(byName == "audit")
        }
    }

    @Test func illegalNamesAreKnown() {
        #expect(Topic.isLegal("a.B_c-1"))
        for name in ["", ".", "..", "a b", "ä", "a/b", String(repeating: "a", count: 250)] {
            #expect(!Topic.isLegal(name), "\(name)")
        }
    }
}

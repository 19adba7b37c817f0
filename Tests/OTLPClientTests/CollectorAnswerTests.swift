import StreamCore
import Testing
import Traces

@testable import OTLPClient

/// Tests how a collector's answers are interpreted.
@Suite struct CollectorAnswerTests {
    private static func answer(_ status: Int, retryAfter: String? = nil, _ body: String = "") -> CollectorAnswer {
        CollectorAnswer(status: status, retryAfter: retryAfter, body: Array(body.utf8))
    }

    @Test func someStatusesAreWorthAnotherAttempt() {
        for status in [429, 502, 503, 504] {
            #expect(throws: TransientExportError("the collector answered \(status)")) {
                try Self.answer(status).rejection()
            }
        }
        for status in [301, 400, 401, 403, 404, 408, 413, 500, 501] {
            #expect(throws: CollectorAnswer.Refused(status: status)) { try Self.answer(status).rejection() }
        }
    }

    @Test func aDelayIsANumberOfSecondsOrADate() throws {
        let now = try #require(Timestamp("1994-11-06T08:49:37Z"))
        let delays: [(String, Duration?)] = [
            ("0", .zero), ("120", .seconds(120)), ("Sun, 06 Nov 1994 08:50:07 GMT", .seconds(30)),
            ("Sun, 06 Nov 1994 08:49:07 GMT", .zero), ("", nil), ("soon", nil), ("-1", nil), ("1.5", nil),
            ("Sun, 06 Nov 1994 08:50:07 GMT and later", nil), ("99999999999999999999", nil),
            ("Sun, 31 Feb 1994 08:50:07 GMT", nil), ("Sun, 06 Foo 1994 08:50:07 GMT", nil),
        ]
        for (text, delay) in delays {
            #expect(Self.answer(503, retryAfter: text).delay(now: now) == delay, "\(text)")
        }
        #expect(Self.answer(503).delay(now: now) == nil)
        #expect(throws: TransientExportError("the collector answered 429", retryAfter: .seconds(7))) {
            try Self.answer(429, retryAfter: "7").rejection()
        }
    }

    @Test func anAcceptedBatchMayHaveRefusedSpans() throws {
        let refused = SpanRejection(spans: 3, message: "too old")
        for number in [#""3""#, "3"] {
            let body = #"{"x":[1],"partialSuccess":{"rejectedSpans":\#(number),"y":{},"errorMessage":"too old"}}"#
            #expect(try Self.answer(200, body).rejection() == refused)
        }
        for body in ["", "{}", "ok", #"{"partialSuccess":{}}"#, #"{"partialSuccess":{"rejectedSpans":"0"}}"#] {
            #expect(try Self.answer(200, body).rejection() == nil, "\(body)")
        }
    }
}

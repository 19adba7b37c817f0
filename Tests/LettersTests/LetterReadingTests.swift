import Kafka
import StreamCore
import Testing

@testable import Letters

@Suite struct LetterReadingTests {
    private static let complete = [
        "__dlq.errors.topic": "t", "__dlq.errors.partition": "3", "__dlq.errors.offset": "17",
        "__dlq.errors.delivery.count": "2", "millrace.action": "apply",
    ]

    private func headers(_ texts: [String: String]) -> LetterHeaders {
        Vectors.headers(texts.map { (name: $0.key, value: $0.value) })
    }

    private func with(_ texts: [String: String]) -> LetterHeaders {
        headers(Self.complete.merging(texts) { $1 })
    }

    @Test(arguments: Array(complete.keys), ["", "-1", "x", "99999999999999999999"])
    func aRequestWithoutItsPartsIsNone(_ name: String, value: String) {
        var texts = Self.complete
        texts[name] = nil
        #expect(RetryRequest(headers(texts)) == nil)
        if name == "__dlq.errors.topic" { return }
        texts[name] = value
        #expect(RetryRequest(headers(texts)) == nil)
    }

    @Test(arguments: ["", "order events", "..", "t/1"])
    func aTopicThatCannotBeIsNoOrigin(_ topic: String) {
        #expect(RetryRequest(with(["__dlq.errors.topic": topic])) == nil)
        #expect(LetterReport(with(["__dlq.errors.topic": topic, "millrace.reason": "failed"])) == nil)
    }

    @Test func aDeliveryOfZeroIsNone() {
        #expect(RetryRequest(with(["__dlq.errors.delivery.count": "0"])) == nil)
    }

    @Test func aReportNeedsAReason() {
        #expect(LetterReport(with([:])) == nil)
        #expect(LetterReport(with(["millrace.reason": ""])) == nil)
        #expect(LetterReport(with(["millrace.reason": "failed"]))?.reason == .failed)
    }

    @Test func aReasonThatIsNotKnownIsALetterAllTheSame() {
        let report = LetterReport(with(["millrace.reason": "postponed"]))
        #expect(report?.reason == .failed)
        #expect(report?.origin?.offset == 17)
    }

    @Test func onlyReportsAboutACircuitBreakerNeedNoOrigin() {
        for reason in LetterReport.Reason.allCases {
            let report = LetterReport(headers(["millrace.reason": reason.rawValue]))
            #expect((report != nil) == reason.isAboutBreaker, "\(reason)")
        }
    }

    @Test func theLastOfSeveralHeadersCounts() {
        let twice = Vectors.headers(
            Self.complete.map { (name: $0.key, value: $0.value) } + [(name: "__dlq.errors.offset", value: "18")])
        #expect(RetryRequest(twice)?.origin.offset == 18)
    }

    @Test func aMessageKeepsItsCause() {
        var report = LetterReport(.breakerOpened)
        report.message = "$" + String(repeating: "[0]", count: 600) + ": expected an object"
        let message = report.fields.first { $0.name == "__dlq.errors.message" }?.value
        #expect(message?.hasPrefix("$[0]") == true && message?.hasSuffix(": expected an object") == true)
        #expect(message?.utf8.count ?? .max <= 1_000)
    }

    @Test func textsAreReadWhateverTheirBytesAre() {
        let report = LetterReport(
            LetterHeaders([
                RecordHeader(name: "millrace.reason", value: Array("circuit-breaker-opened".utf8)),
                RecordHeader(name: "__dlq.errors.message", value: [0x61, 0x00, 0xFF, 0x62]),
                RecordHeader(name: "millrace.error.class", value: nil),
            ]))
        #expect(report?.message == "a\u{FFFD}b")
        #expect(report?.errorClass == nil)
    }

    @Test func whatReportsSayOfTheRecordNeedsARecord() {
        var report = LetterReport(.resolved)
        report.kept = .record
        #expect(!report.fields.contains { $0.name.hasSuffix(".kept") })
    }
}

import Kafka
import StreamCore
import Testing

@testable import Letters

/// The wire format of letters and retry requests. Topics store these records, and each release reads the records of
/// earlier releases. A vector must therefore never be changed.
enum Vectors {
    struct Report: Sendable, CustomTestStringConvertible {
        let report: LetterReport
        let wire: [(name: String, value: String)]
        var testDescription: String { report.reason.rawValue }
    }

    struct Request: Sendable, CustomTestStringConvertible {
        let request: RetryRequest
        let wire: [(name: String, value: String)]
        var testDescription: String { "\(request.action) \(request.delivery)" }
    }

    static let origin = RecordOrigin(
        partition: TopicPartition(topic: "order-events", partition: 3), offset: 17, timestampMs: 1_700_000_000_123)

    private static let place = [
        ("__dlq.errors.topic", "order-events"), ("__dlq.errors.partition", "3"), ("__dlq.errors.offset", "17"),
    ]

    private static func report(
        _ reason: LetterReport.Reason, _ set: (inout LetterReport) -> Void, _ wire: [(String, String)]
    ) -> Report {
        var report = LetterReport(reason)
        report.consumer = "order-summary"
        report.group = "order-summary.v1"
        set(&report)
        return Report(report: report, wire: wire.map { (name: $0.0, value: $0.1) })
    }

    static let reports: [Report] = [
        report(
            .failed,
            {
                $0.origin = origin
                $0.delivery = 2
                $0.stage = "apply"
                $0.errorClass = "sql_23505"
                $0.message = "duplicate key"
                $0.eventID = EventID("01890a5d-ac96-774b-bcce-b302099a8057")
            },
            place + [
                ("__dlq.errors.group", "order-summary.v1"), ("__dlq.errors.delivery.count", "2"),
                ("__dlq.errors.message", "duplicate key"), ("millrace.consumer", "order-summary"),
                ("millrace.reason", "failed"), ("millrace.order", "key"), ("millrace.stage", "apply"),
                ("millrace.error.class", "sql_23505"), ("millrace.origin.timestamp", "1700000000123"),
                ("millrace.event-id", "01890a5d-ac96-774b-bcce-b302099a8057"),
            ]),
        report(
            .failed,
            {
                $0.origin = RecordOrigin(partition: origin.partition, offset: 0)
                $0.delivery = 1
                $0.isOrdered = false
                $0.stage = "decode"
                $0.errorClass = "invalid_json"
                $0.kept = .record
            },
            [
                ("__dlq.errors.topic", "order-events"), ("__dlq.errors.partition", "3"), ("__dlq.errors.offset", "0"),
                ("__dlq.errors.group", "order-summary.v1"), ("__dlq.errors.delivery.count", "1"),
                ("millrace.consumer", "order-summary"), ("millrace.reason", "failed"), ("millrace.order", "none"),
                ("millrace.stage", "decode"), ("millrace.error.class", "invalid_json"),
                ("millrace.value.kept", "database"), ("millrace.headers.kept", "database"),
                ("millrace.key.kept", "database"),
            ]),
        report(
            .blocked,
            {
                $0.origin = origin
                $0.delivery = 1
                $0.kept = .value
            },
            place + [
                ("__dlq.errors.group", "order-summary.v1"), ("__dlq.errors.delivery.count", "1"),
                ("millrace.consumer", "order-summary"), ("millrace.reason", "blocked"), ("millrace.order", "key"),
                ("millrace.origin.timestamp", "1700000000123"), ("millrace.value.kept", "database"),
            ]),
        report(
            .resolved,
            {
                $0.origin = origin
                $0.delivery = 3
            },
            place + [
                ("__dlq.errors.group", "order-summary.v1"), ("__dlq.errors.delivery.count", "3"),
                ("millrace.consumer", "order-summary"), ("millrace.reason", "resolved"), ("millrace.order", "key"),
                ("millrace.origin.timestamp", "1700000000123"),
            ]),
        report(
            .discarded,
            {
                $0.origin = origin
                $0.delivery = 4
                $0.isRowKept = true
            },
            place + [
                ("__dlq.errors.group", "order-summary.v1"), ("__dlq.errors.delivery.count", "4"),
                ("millrace.consumer", "order-summary"), ("millrace.reason", "discarded"), ("millrace.order", "key"),
                ("millrace.origin.timestamp", "1700000000123"), ("millrace.row", "kept"),
            ]),
        report(
            .breakerOpened,
            {
                $0.errorClass = "sql_42P01"
                $0.message = "relation does not exist"
            },
            [
                ("__dlq.errors.group", "order-summary.v1"), ("__dlq.errors.message", "relation does not exist"),
                ("millrace.consumer", "order-summary"), ("millrace.reason", "circuit-breaker-opened"),
                ("millrace.order", "key"), ("millrace.error.class", "sql_42P01"),
            ]),
        report(
            .breakerClosed, { _ in },
            [
                ("__dlq.errors.group", "order-summary.v1"), ("millrace.consumer", "order-summary"),
                ("millrace.reason", "circuit-breaker-closed"), ("millrace.order", "key"),
            ]),
    ]

    static let requests: [Request] = [
        Request(
            request: RetryRequest(.apply, origin, delivery: 2, group: "order-summary.v1"),
            wire: place + [
                ("__dlq.errors.group", "order-summary.v1"), ("millrace.origin.timestamp", "1700000000123"),
                ("__dlq.errors.delivery.count", "2"), ("millrace.action", "apply"),
            ]),
        Request(
            request: RetryRequest(.apply, origin, delivery: 3, group: "g", isValueKept: true, isForgotten: true),
            wire: place + [
                ("__dlq.errors.group", "g"), ("millrace.origin.timestamp", "1700000000123"),
                ("__dlq.errors.delivery.count", "3"), ("millrace.action", "apply"),
                ("millrace.value.kept", "database"), ("millrace.row", "forgotten"),
            ]),
        Request(
            request: RetryRequest(.discard, RecordOrigin(partition: origin.partition, offset: 17), delivery: 1),
            wire: place + [("__dlq.errors.delivery.count", "1"), ("millrace.action", "discard")]),
    ]

    static func headers(_ wire: [(name: String, value: String)]) -> LetterHeaders {
        LetterHeaders(wire.map { RecordHeader(name: $0.name, value: Array($0.value.utf8)) })
    }
}

@Suite struct LetterVectorTests {
    @Test(arguments: Vectors.reports)
    func aReportIsWrittenAsItsVector(_ vector: Vectors.Report) {
        let fields = vector.report.fields
        #expect(fields.map(\.name) == vector.wire.map(\.name))
        #expect(fields.map(\.value) == vector.wire.map(\.value))
    }

    @Test(arguments: Vectors.reports)
    func aReportIsReadFromItsVector(_ vector: Vectors.Report) {
        #expect(LetterReport(Vectors.headers(vector.wire)) == vector.report)
    }

    @Test(arguments: Vectors.requests)
    func aRequestIsWrittenAsItsVector(_ vector: Vectors.Request) {
        let fields = vector.request.fields
        #expect(fields.map(\.name) == vector.wire.map(\.name))
        #expect(fields.map(\.value) == vector.wire.map(\.value))
    }

    @Test(arguments: Vectors.requests)
    func aRequestIsReadFromItsVector(_ vector: Vectors.Request) {
        #expect(RetryRequest(Vectors.headers(vector.wire)) == vector.request)
    }

    @Test func everyReasonAndEveryActionHasAVector() {
        #expect(Set(Vectors.reports.map(\.report.reason)) == Set(LetterReport.Reason.allCases))
        #expect(Set(Vectors.requests.map(\.request.action)) == Set(RetryRequest.Action.allCases))
    }

    @Test func allHeadersAreReserved() {
        for name in Vectors.reports.flatMap(\.wire).map(\.name) + Vectors.requests.flatMap(\.wire).map(\.name) {
            #expect(LetterHeaderNames.contain(name))
        }
        for name in ["event-id", "traceparent", "millracex", "dlq.errors.topic"] {
            #expect(!LetterHeaderNames.contain(name))
        }
    }
}

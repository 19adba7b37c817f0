import Kafka
import Postgres
import StreamCore
import TestKit
import Testing
import Traces
import Tracing

@testable import Projections

/// The spans of batches: their trace, their links and their attributes.
@Suite struct BatchTracingTests {
    private static func traceparent(_ number: Int, isSampled: Bool = true) -> String {
        let id = TraceContext.TraceID(high: 7, low: UInt64(number))
        return TraceContext(traceID: id, spanID: UInt64(1_000 + number), isSampled: isSampled).traceparent
    }

    private static func header(_ text: String) -> [RecordHeader] {
        [RecordHeader(name: "traceparent", value: Array(text.utf8))]
    }

    /// Runs the projection over the records that were produced before, in one batch.
    private static func run(
        _ ledger: Ledger, _ spans: RecordedSpans, ratio: Double = 0,
        _ projection: LedgerProjection? = nil, _ until: @escaping @Sendable () async throws -> Bool
    ) async throws {
        try await withTracer(spans.tracer(ratio: ratio)) {
            try await running(ledger.runner(projection)) { try await eventually { try await until() } }
        }
    }

    @Test func oneRecordedRecordMakesItsBatchAPartOfItsTrace() async throws {
        try await Ledger.with(partitions: 1) { ledger in
            let spans = RecordedSpans()
            let partition = try await ledger.produce(
                key: "a", ledger.next("a").wire, headers: Self.header(Self.traceparent(1)))
            try await ledger.produce(key: "b", ledger.next("b").wire, headers: Self.header("00-none"))
            try await ledger.produce(
                key: "c", ledger.next("c").wire, headers: Self.header(Self.traceparent(3, isSampled: false)))
            try await Self.run(ledger, spans) { try await ledger.isCaughtUp() }
            let span = try #require(spans.all.first)
            #expect(spans.all.count == 1)
            #expect(span.name == "process \(partition.topic)" && span.kind == .consumer && span.status == nil)
            #expect(span.context.traceID.low == 1 && span.parentID == 1_001)
            #expect(span.links.map(\.context.traceparent) == [Self.traceparent(1)])
            #expect(span.text("messaging.system") == "kafka" && span.text("messaging.operation.type") == "process")
            #expect(span.text("messaging.operation.name") == "process")
            #expect(span.text("messaging.destination.name") == partition.topic)
            #expect(span.text("messaging.destination.partition.id") == "0")
            #expect(span.text("messaging.consumer.group.name") == "test.\(ledger.name).v1")
            #expect(span.text("millrace.events.applied") == span.text("messaging.batch.message_count") ?? "1")
        }
    }

    /// A batch with records of several traces belongs to none of them. Its span links to all of them.
    @Test func severalTracesAreLinkedByABatchOfItsOwn() async throws {
        try await Ledger.with(partitions: 1) { ledger in
            let spans = RecordedSpans()
            for number in 1...3 {
                try await ledger.produce(
                    key: "k\(number)", ledger.next("k\(number)").wire,
                    headers: Self.header(Self.traceparent(number)))
            }
            try await Self.run(ledger, spans) { try await ledger.isCaughtUp() }
            let links = spans.all.flatMap { $0.links.map(\.context.traceparent) }
            #expect(links == (1...3).map { Self.traceparent($0) }, "in record order, each trace once")
            for span in spans.all where span.links.count > 1 {
                #expect(span.parentID == nil && span.context.traceID.high != 7)
                #expect(span.text("messaging.batch.message_count") == String(span.links.count))
            }
        }
    }

    @Test func nothingIsRecordedOfRecordsWithoutARecordedTrace() async throws {
        try await Ledger.with(partitions: 1) { ledger in
            let spans = RecordedSpans()
            try await ledger.produce(key: "a", ledger.next("a").wire)
            try await ledger.produce(
                key: "b", ledger.next("b").wire, headers: Self.header(Self.traceparent(2, isSampled: false)))
            try await Self.run(ledger, spans, ratio: 1) { try await ledger.isCaughtUp() }
            #expect(spans.all.isEmpty)
        }
    }

    @Test func aFailureIsTheSpansStatus() async throws {
        try await Ledger.with(partitions: 1) { ledger in
            let (spans, observer) = (RecordedSpans(), Observer())
            try await ledger.produce(
                key: "a", ledger.next("a", amount: -5).wire, headers: Self.header(Self.traceparent(1)))
            try await withTracer(spans.tracer(ratio: 0)) {
                try await running(ledger.runner(observer: observer)) {
                    try await eventually { observer.now.stopped.count == 1 }
                }
            }
            let failed = try #require(spans.all.first)
            #expect(failed.status?.code == .error && failed.text("error.type") == "sql_23514")
            #expect(failed.text("messaging.kafka.offset") == "0" && failed.text("messaging.batch.message_count") == nil)
            #expect(failed.text("millrace.events.applied") == nil)
        }
    }

    /// A letter, and the retry of its event, carry the trace header of the original record.
    @Test func aRetriedEventIsStillOfItsTrace() async throws {
        try await ParkingScene.with { scene in
            let (ledger, spans) = (scene.ledger, RecordedSpans())
            try await ledger.produce(
                key: "a", ledger.next("a", amount: -5).wire, headers: Self.header(Self.traceparent(1)))
            try await withTracer(spans.tracer(ratio: 0)) {
                try await running(scene.runner()) {
                    try await ledger.caughtUp()
                    let letters = try await scene.letters("failed")
                    #expect(letters.map { $0["traceparent"] } == [Self.traceparent(1)])
                    try await scene.execute("ALTER TABLE ledger DROP CONSTRAINT ledger_least_check")
                    try await scene.retryUntilResolved()
                }
            }
            let last = try #require(spans.all.last { $0.text("millrace.events.applied") == "1" })
            #expect(last.name.hasPrefix("process retry."), "\(last.name)")
            #expect(last.parentID == 1_001 && last.status == nil)
            #expect(spans.all.allSatisfy { $0.context.traceID.low == 1 })
        }
    }
}

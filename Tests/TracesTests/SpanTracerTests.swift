import TestKit
import Testing
import Tracing

@testable import Traces

@Suite struct SpanTracerTests {
    private static let sampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    private static let unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"

    @Test func aChildGoesOnWithTheTraceThatCameIn() throws {
        let kept = RecordedSpans()
        let tracer = kept.tracer(ratio: 0)
        let context = tracer.context(traceparent: Self.sampled, state: "a=b")
        let span = tracer.startSpan("work", context: context, ofKind: .server)
        let headers = tracer.headers(of: span.context)
        span.end()
        span.end()
        let finished = try #require(kept.all.first)
        #expect(kept.all.count == 1, "a span ends once")
        #expect(finished.context.traceID.text == "0af7651916cd43dd8448eb211c80319c")
        #expect(finished.parentID == 0xb7ad_6b71_6920_3331)
        #expect(finished.context.spanID != finished.parentID && finished.context.spanID != 0)
        #expect(finished.name == "work" && finished.kind == .server && finished.end >= finished.start)
        #expect(headers == ["traceparent": finished.context.traceparent, "tracestate": "a=b"])
    }

    @Test func whatIsNotSampledIsPassedOnAndNotRecorded() {
        let kept = RecordedSpans()
        let tracer = kept.tracer()
        let span = tracer.startSpan("work", context: tracer.context(traceparent: Self.unsampled))
        #expect(!span.isRecording)
        span.attributes["a"] = "b"
        span.addEvent("event")
        span.setStatus(SpanStatus(code: .error))
        span.end()
        #expect(kept.all.isEmpty)
        let own = span.context.traceContext
        #expect(own?.isSampled == false && own?.traceID.text == "0af7651916cd43dd8448eb211c80319c")
        // A child span is not sampled either, whatever the ratio.
        #expect(!tracer.startSpan("part", context: span.context).isRecording)
    }

    @Test func aHeaderThatIsNoneBeginsATrace() throws {
        let kept = RecordedSpans()
        let tracer = kept.tracer()
        for _ in 0..<2 { tracer.startSpan("work", context: tracer.context(traceparent: "00-x")).end() }
        #expect(kept.all.map(\.parentID) == [nil, nil])
        #expect(Set(kept.all.map(\.context.traceID)).count == 2)
    }

    /// Every process makes the same decision about a trace. The test measures the part of sampled traces.
    @Test(arguments: [0.0, 0.1, 0.5, 1.0])
    func rootsAreSampledByRatio(_ ratio: Double) {
        let sampler = TraceSampler(ratio: ratio)
        var random = SystemRandomNumberGenerator()
        let places = (0..<20_000).map { _ in sampler.place(below: nil, isLinked: false, using: &random) }
        for place in places { #expect(place.isSampled == sampler.samples(place.traceID)) }
        let part = Double(places.count { $0.isSampled }) / 20_000
        #expect(abs(part - ratio) < 0.02)
        if ratio == 0 || ratio == 1 { #expect(part == ratio) }
    }

    @Test func theBoundsOfARatioAreExact() {
        let least = TraceContext.TraceID(high: 1, low: 0)
        let greatest = TraceContext.TraceID(high: 1, low: .max)
        #expect(!TraceSampler(ratio: 0).samples(least) && TraceSampler(ratio: 1).samples(greatest))
        #expect(TraceSampler(ratio: 0.5).samples(.init(high: 1, low: .max / 2)))
        #expect(!TraceSampler(ratio: 0.5).samples(.init(high: 1, low: .max / 2 + 1)))
    }

    /// If this span were not recorded, the linked traces would end at it.
    @Test func aSpanWithLinksToRecordedSpansIsRecorded() throws {
        let kept = RecordedSpans()
        let tracer = kept.tracer(ratio: 0)
        var context = InstrumentationContext.topLevel
        context.isLinkedToSampled = true
        let span = tracer.startSpan("process", context: context)
        span.addLink(SpanLink(context: tracer.context(traceparent: Self.sampled), attributes: [:]))
        span.addLink(SpanLink(context: .topLevel, attributes: [:]))
        span.end()
        #expect(kept.all.first?.links.map(\.context.traceparent) == [Self.sampled], "a link without a trace is dropped")
        // This applies only to this span. A new root span is sampled by the ratio again.
        #expect(!span.context.isLinkedToSampled)
    }

    @Test func linksAndEventsHaveALimit() {
        let kept = RecordedSpans()
        let tracer = kept.tracer()
        let span = tracer.startSpan("work", context: .topLevel)
        for _ in 0..<200 {
            span.addLink(SpanLink(context: tracer.context(traceparent: Self.sampled), attributes: [:]))
            span.addEvent("event")
        }
        span.end()
        let finished = kept.all.first
        #expect(finished?.links.count == 128 && finished?.droppedLinks == 72)
        #expect(finished?.events.count == 128 && finished?.droppedEvents == 72)
    }

    /// The text of an error may contain data of a row.
    @Test func ofAnErrorOnlyTheTypeIsRecordedSpans() {
        struct Refused: Error, CustomStringConvertible { let description = "Key (mail)=(a@b) exists" }
        let kept = RecordedSpans()
        let span = kept.tracer().startSpan("work", context: .topLevel)
        span.recordError(Refused())
        span.end()
        let event = kept.all.first?.events.first
        #expect(event?.name == "exception" && event?.attributes == ["exception.type": "Refused"])
    }
}

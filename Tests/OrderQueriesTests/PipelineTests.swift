import StreamCore
import Testing

@testable import OrderQueries

/// Tests the reported state of the pipeline with made-up readings.
@Suite struct PipelineTests {
    private let zero = TopicPartition(topic: "order-events", partition: 0)
    private let one = TopicPartition(topic: "order-events", partition: 1)

    private func at(_ seconds: Double) -> Timestamp {
        Timestamp(microseconds: 1_770_000_000_000_000 + Int64(seconds * 1_000_000))
    }

    private func reading(_ next: [TopicPartition: Int64], _ name: String = "order-summary") -> ProjectionReading {
        var reading = ProjectionReading(name: name, version: 1)
        reading.next = next
        reading.committedAt = at(-100)
        return reading
    }

    @Test func isAsOfTheLastEndsThatWerePassed() throws {
        var tracker = PipelineTracker(of: ["order-summary", "dashboard"])
        tracker.note(EndReading(at: at(0), ends: [zero: 10, one: 5]))
        tracker.note([reading([zero: 9, one: 5])], at: at(0.1))
        #expect(tracker.reports(at: at(0.1)).first?.asOf == nil)
        // If no milestone was passed, only the last commit is known.
        #expect(tracker.asOf() == at(-100))
        tracker.note(EndReading(at: at(1), ends: [zero: 20, one: 5]))
        tracker.note([reading([zero: 12, one: 5])], at: at(1.1))
        let behind = try #require(tracker.reports(at: at(2)).first)
        #expect(behind.asOf == at(0) && behind.lagRecords == 8)
        #expect(behind.lagSeconds == 2)
        #expect(behind.state == .live, "a lag of two seconds is still live")
        tracker.note([reading([zero: 20, one: 5])], at: at(2.1))
        let live = try #require(tracker.reports(at: at(2.1)).first)
        tracker.note([reading([zero: 21, one: 5])], at: at(2.2))
        #expect(tracker.reports(at: at(2.2)).first?.partitions.first?.end == 21)
        #expect(live.asOf == at(1) && live.lagRecords == 0 && live.lagSeconds == 0 && live.state == .live)
        #expect(tracker.asOf() == at(1))
    }

    @Test func theFurthestBehindCounts() {
        var tracker = PipelineTracker(of: ["order-summary", "dashboard"])
        tracker.note(EndReading(at: at(0), ends: [zero: 10]))
        tracker.note([reading([zero: 10]), reading([zero: 10], "dashboard")], at: at(0.1))
        tracker.note(EndReading(at: at(1), ends: [zero: 11]))
        tracker.note([reading([zero: 11]), reading([zero: 10], "dashboard"), reading([zero: 0], "other")], at: at(1.1))
        #expect(tracker.asOf() == at(0))
        #expect(tracker.asOf(["order-summary"]) == at(1))
    }

    @Test func saysWhatStoppedAndWhatNobodyKnows() throws {
        var tracker = PipelineTracker(of: ["order-summary", "dashboard"])
        tracker.note([reading([zero: 5])], at: at(0))
        #expect(tracker.reports(at: at(0)).first?.state == .unknown)
        #expect(tracker.reports(at: at(0)).first?.lagRecords == nil)
        tracker.note(EndReading(at: at(1), ends: [zero: 50]))
        tracker.note([reading([zero: 6])], at: at(8))
        tracker.note(EndReading(at: at(8), ends: [zero: 50]))
        #expect(tracker.reports(at: at(8)).first?.state == .behind)
        for second in stride(from: 9.0, through: 30, by: 1) {
            tracker.note(EndReading(at: at(second), ends: [zero: 50]))
            tracker.note([reading([zero: 6])], at: at(second))
        }
        #expect(tracker.reports(at: at(30)).first?.state == .stopped)
        // Kafka is not available, so the state of a minute ago is not reported as the current one.
        #expect(tracker.reports(at: at(90)).first?.state == .unknown)
    }

    /// After a failover to a replica that lacks the last transactions, the time is earlier, not the one before.
    @Test func aDatabaseThatGoesBackTakesTheTimeBack() {
        var tracker = PipelineTracker(of: ["order-summary", "dashboard"])
        for second in 1...90 {
            tracker.note(EndReading(at: at(Double(second)), ends: [zero: Int64(second) * 10]))
            tracker.note([reading([zero: Int64(second) * 10])], at: at(Double(second) + 0.5))
        }
        #expect(tracker.asOf() == at(90))
        tracker.note([reading([zero: 855])], at: at(91))
        #expect(tracker.asOf() == at(85))
        tracker.note([reading([zero: 900])], at: at(92))
        #expect(tracker.asOf() == at(90))
        tracker.note([reading([zero: 7])], at: at(93))
        #expect(tracker.reports(at: at(93)).first?.asOf == nil)
    }

    @Test func keepsFewInstantsHoweverLongItIsBehind() {
        var tracker = PipelineTracker(of: ["order-summary", "dashboard"])
        for second in 0..<20_000 {
            tracker.note(EndReading(at: at(Double(second)), ends: [zero: Int64(second) + 1]))
            if second % 100 == 0 { tracker.note([reading([zero: 100])], at: at(Double(second))) }
        }
        tracker.note([reading([zero: 15_000])], at: at(20_000))
        let asOf = tracker.reports(at: at(20_000)).first?.asOf
        // The result is less exact than a second, but never later than the true time.
        #expect(asOf.map { $0 <= at(14_999) && $0 > at(14_800) } ?? false, "\(String(describing: asOf))")
    }

    @Test func metersRatesByPartition() {
        var meter = RateMeter()
        #expect(meter.perSecond == nil)
        meter.note([zero: 100], at: at(0))
        #expect(meter.perSecond == nil)
        // A new partition with a million records did not receive all of them in this second.
        meter.note([zero: 150, one: 1_000_000], at: at(1))
        #expect(meter.perSecond == 50)
        for second in 2...30 { meter.note([zero: 150, one: 1_000_000], at: at(Double(second))) }
        #expect(meter.perSecond == 0)
    }

    @Test func writesWhatItKnows() {
        var tracker = PipelineTracker(of: ["order-summary", "dashboard"])
        tracker.note(EndReading(at: at(0), ends: [zero: 10]))
        tracker.note([reading([zero: 10])], at: at(0.5))
        let outbox = OutboxReading(backlog: 3, backlogIsAtLeast: false, oldest: at(-2), failed: 1)
        let snapshot = PipelineSnapshot(tracker, outbox, nil, at: at(0.5))
        // The rows in the outbox are older than the last events in Kafka.
        #expect(snapshot.asOf == at(-2))
        let json = String(decoding: snapshot.json, as: UTF8.self)
        #expect(
            json.hasPrefix(
                #"{"outbox":{"backlog":3,"backlogIsAtLeast":false,"oldestAgeSeconds":2.5,"failed":1},"projections":[{"name":"#
            ))
        #expect(json.contains(#""deadLetters":null,"rates":{"inPerSecond":null,"outPerSecond":null}}"#))
        #expect(
            json.contains(
                #"{"topic":"order-events","partition":0,"nextOffset":10,"endOffset":10,"lag":0,"state":"live"}"#))
    }
}

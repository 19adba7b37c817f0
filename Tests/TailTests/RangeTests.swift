import StreamCore
import Testing

@testable import Tail

@Suite struct RangeTests {
    /// 2026-03-01 12:00:00 UTC.
    private let now = Timestamp(microseconds: 1_772_366_400_000_000)

    @Test(
        arguments: [
            ("beginning", .beginning), ("end", .end), ("17", .offset(17)), ("-5", .beforeEnd(5)),
            ("+5", .afterBeginning(5)), ("@1772366400123", .time(1_772_366_400_123)), ("15m", .time(1_772_365_500_000)),
            ("2d", .time(1_772_193_600_000)), ("250ms", .time(1_772_366_399_750)),
            ("2026-03-01T12:00:00Z", .time(1_772_366_400_000)), ("2026-03-01T13:00+01:00", .time(1_772_366_400_000)),
            ("2026-03-01T12:00:00", .time(1_772_366_400_000)), ("2026-03-01 12:00", .time(1_772_366_400_000)),
            ("2026-03-01", .time(1_772_323_200_000)),
        ] as [(String, TailPoint)])
    func aPlaceInATopic(text: String, point: TailPoint) throws {
        #expect(try TailPoint(parsing: text, now: now) == point)
    }

    @Test(arguments: ["", "-", "+", "x", "1.5", "@", "@x", "-15m", "2026-13-01", "99999999999999999999", "m"])
    func whatIsNoPlaceIsRefused(text: String) {
        #expect(throws: TailSyntaxError.self) { try TailPoint(parsing: text, now: now) }
    }

    @Test(
        arguments: [
            (.beginning, nil, 10), (.end, nil, 20), (.offset(15), nil, 15), (.offset(3), nil, 10),
            (.offset(30), nil, 20),
            (.beforeEnd(4), nil, 16), (.beforeEnd(40), nil, 10), (.afterBeginning(4), nil, 14),
            (.afterBeginning(.max), nil, 20), (.time(1), 12, 12), (.time(1), nil, 20),
        ] as [(TailPoint, Int64?, Int64)])
    func offsetsStayWithinThePartition(point: TailPoint, found: Int64?, offset: Int64) {
        #expect(PartitionBounds(low: 10, high: 20).offset(of: point, found: found) == offset)
    }

    @Test(
        arguments: [
            ("order-events", "order-events", true), ("order-*", "order-events", true), ("*", "order-events", true),
            ("*", "__consumer_offsets", false), ("__*", "__consumer_offsets", true), ("*-events", "order-events", true),
            ("o*r-e*s", "order-events", true), ("order-?vents", "order-events", true),
            ("order-*x", "order-events", false),
            ("?", "ab", false), ("a*b*c", "aXbYbZc", true), ("order", "order-events", false), ("a.b*", "axb", false),
        ])
    func patterns(pattern: String, name: String, matches: Bool) {
        #expect(TopicPattern(pattern).matches(name) == matches)
    }

    // MARK: progress

    private let one = TopicPartition(topic: "t", partition: 1)
    private let two = TopicPartition(topic: "t", partition: 2)

    /// Wraps the state machine in a class, because `#expect` cannot contain mutating calls.
    private final class Driver {
        private var progress: TailProgress

        init(_ ranges: [TopicPartition: TailProgress.Range], follows: Bool, stopAtMs: Int64?) {
            progress = TailProgress(ranges, follows: follows, stopAtMs: stopAtMs)
        }

        var isDone: Bool { progress.isDone }
        var partitions: [TopicPartition] { progress.partitions.sorted() }
        func take(_ record: CopiedRecord) -> Bool { progress.take(record) }
        func noteEnd(of partition: TopicPartition, at offset: Int64) { progress.noteEnd(of: partition, at: offset) }
        func takeClosed() -> [TopicPartition] { progress.takeClosed() }
        func add(_ partition: TopicPartition, _ range: TailProgress.Range) { progress.add(partition, range) }
    }

    private func record(_ partition: TopicPartition, _ offset: Int64, at timestampMs: Int64? = nil) -> CopiedRecord {
        CopiedRecord(partition, offset: offset, timestampMs: timestampMs)
    }

    @Test func aPartitionEndsBehindItsLastRecord() {
        let progress = Driver(
            [one: .init(start: 5, end: 7), two: .init(start: 0, end: 0)], follows: false, stopAtMs: nil)
        #expect(progress.partitions == [one], "the other partition has no wanted records")
        #expect(progress.take(record(one, 5)))
        #expect(!progress.take(record(two, 0)))
        #expect(!progress.isDone)
        #expect(progress.take(record(one, 6)))
        #expect(progress.isDone)
        #expect(progress.takeClosed() == [one])
        #expect(progress.takeClosed() == [])
        #expect(!progress.take(record(one, 7)))
    }

    /// The last offsets may be transaction markers, or may have been removed by compaction.
    @Test func aPartitionEndsWhereTheBrokerSaysSo() {
        let progress = Driver([one: .init(start: 0, end: 10)], follows: false, stopAtMs: nil)
        #expect(progress.take(record(one, 3)))
        progress.noteEnd(of: one, at: 10)
        #expect(progress.isDone)
        let behind = Driver([one: .init(start: 0, end: 10)], follows: false, stopAtMs: nil)
        #expect(!behind.take(record(one, 12)), "the records before the end are gone")
        #expect(behind.isDone)
    }

    @Test func followingGoesOnBehindTheEnd() {
        let progress = Driver(
            [one: .init(start: 5, first: 8, end: nil), two: .init(start: 0, end: 4)], follows: true, stopAtMs: nil)
        progress.noteEnd(of: one, at: 5)
        progress.noteEnd(of: two, at: 2)
        #expect(!progress.take(record(one, 5)), "this record is before the first wanted one")
        #expect(progress.take(record(one, 8)))
        #expect(progress.take(record(two, 3)))
        #expect(progress.takeClosed() == [two] && !progress.isDone)
        let three = TopicPartition(topic: "t", partition: 3)
        #expect(!progress.take(record(three, 0)))
        progress.add(three, .init(start: 0, end: nil))
        #expect(!progress.take(record(one, 6)))
        #expect(progress.take(record(three, 0)))
    }

    @Test func aTimeEndsAPartitionAtItsFirstRecord() {
        let progress = Driver(
            [one: .init(start: 0, end: 9), two: .init(start: 0, end: nil)], follows: true, stopAtMs: 100)
        #expect(progress.take(record(one, 0, at: 99)))
        #expect(progress.take(record(two, 0)))
        #expect(!progress.take(record(one, 1, at: 100)))
        #expect(!progress.take(record(one, 2, at: 50)), "later records are not examined")
        #expect(progress.takeClosed() == [one])
    }

    // MARK: the last records

    @Test func theLastOnesAreInTimeOrderAndInThatOfTheirPartitions() {
        var last = LastRecords(count: 4)
        for (partition, offset, time) in [
            (one, 0, 10), (one, 1, 50), (one, 2, 20), (two, 0, 15), (two, 1, 40), (two, 2, 60),
        ]
            as [(TopicPartition, Int64, Int64)]
        {
            last.note(record(partition, offset, at: time))
        }
        #expect(last.noted == 6)
        let records = last.take()
        let found = records.map { "\($0.topicPartition.partition)/\($0.offset)" }
        #expect(
            found == ["2/1", "1/1", "1/2", "2/2"], "a clock that stepped back does not change the order of a partition")
    }

    @Test func fewAreKeptOfMany() {
        var last = LastRecords(count: 3)
        for offset in 0..<10_000 as Range<Int64> { last.note(record(one, offset, at: offset)) }
        let kept = last.take()
        #expect(kept.map(\.offset) == [9_997, 9_998, 9_999])
        #expect(last.noted == 10_000)
    }
}

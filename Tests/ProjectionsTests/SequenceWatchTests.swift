import StreamCore
import Testing

@testable import Projections

@Suite struct SequenceWatchTests {
    private func counts(_ sequences: [(String, Int64)], capacity: Int = 1 << 10) -> SequenceWatch.Counts {
        var watch = SequenceWatch(capacity: capacity)
        var counts = SequenceWatch.Counts()
        for (aggregate, sequence) in sequences {
            watch.observe(identity(aggregate, sequence), into: &counts)
        }
        return counts
    }

    private func identity(_ aggregate: String, _ sequence: Int64) -> EventIdentity {
        EventIdentity(
            eventID: EventID(high: 1, low: 2), eventType: "T", aggregateID: aggregate, sequence: sequence,
            timestamp: Timestamp(microseconds: 0))
    }

    @Test func aSequenceWithoutHolesCountsNothing() {
        #expect(counts([("a", 1), ("b", 1), ("a", 2), ("a", 3), ("b", 2)]) == .init())
    }

    @Test func aggregatesOfTwoTypesMayShareAnID() {
        var watch = SequenceWatch(capacity: 1 << 10)
        var counts = SequenceWatch.Counts()
        for (type, sequence) in [("Order", 1), ("Payment", 1), ("Order", 2), ("Order", 3), ("Payment", 2)] {
            let identity = EventIdentity(
                eventID: EventID(high: 1, low: 2), eventType: "T", aggregateType: type, aggregateID: "1",
                sequence: Int64(sequence), timestamp: Timestamp(microseconds: 0))
            watch.observe(identity, into: &counts)
        }
        #expect(counts == .init())
    }

    @Test func theFirstSightOfAnAggregateCountsNothing() {
        #expect(counts([("a", 7), ("a", 8)]) == .init())
    }

    @Test func noSequenceCountsNothing() {
        #expect(counts([("a", 0), ("a", 0), ("a", 3), ("a", 0), ("a", 4)]) == .init())
    }

    @Test func aJumpIsAGap() {
        #expect(counts([("a", 1), ("a", 4), ("a", 5)]) == .init(gaps: 1, stale: 0, exampleAggregateID: "a"))
    }

    @Test func aReturnIsStaleAndMovesNothingBack() {
        #expect(counts([("a", 4), ("a", 2), ("a", 5)]) == .init(gaps: 0, stale: 1, exampleAggregateID: "a"))
    }

    @Test func aDisplacedAggregateCountsNothing() {
        #expect(counts([("a", 1), ("b", 1), ("a", 9), ("b", 9)], capacity: 1) == .init())
    }

    @Test func nothingIsKnownAfterAReset() {
        var watch = SequenceWatch(capacity: 16)
        var counts = SequenceWatch.Counts()
        watch.observe(identity("a", 1), into: &counts)
        watch.reset()
        watch.observe(identity("a", 5), into: &counts)
        #expect(counts == .init())
    }
}

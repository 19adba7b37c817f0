import Kafka
import StreamCore
import Testing

@testable import ReadModels

/// The offsets at which a rebuild begins and ends.
struct RebuildStartTests {
    private let whole = TopicPartition(topic: "t", partition: 0)
    private let cut = TopicPartition(topic: "t", partition: 1)

    private func marks(_ low: Int64, _ high: Int64) -> Watermarks { Watermarks(low: low, high: high) }

    @Test func theBeginningMustBeThere() throws {
        #expect(try RebuildStart.beginning.offsets(in: [whole: marks(0, 9), cut: marks(0, 0)]) == [whole: 0, cut: 0])
        let error = #expect(throws: RebuildRefusal.self) {
            try RebuildStart.beginning.offsets(in: [whole: marks(0, 9), cut: marks(3, 9)])
        }
        #expect(error?.code == .historyIsIncomplete)
        #expect(error?.description.contains("--from oldest") == true)
        #expect(try RebuildStart.oldest.offsets(in: [whole: marks(0, 9), cut: marks(3, 9)]) == [whole: 0, cut: 3])
    }

    @Test func aTimeAndAPlaceBeginLater() throws {
        let found = [whole: marks(0, 9), cut: marks(0, 5)]
        #expect(try RebuildStart.time(1).offsets(in: found, timed: [whole: 4]) == [whole: 4, cut: 5])
        #expect(try RebuildStart.offsets([whole: 9]).offsets(in: found) == [whole: 9, cut: 0])
        for wrong: [TopicPartition: Int64] in [[whole: 10], [TopicPartition(topic: "u", partition: 0): 0]] {
            let error = #expect(throws: RebuildRefusal.self) { try RebuildStart.offsets(wrong).offsets(in: found) }
            #expect(error?.code == .historyIsIncomplete)
        }
    }

    @Test func progressIsWhatLiesBetween() {
        func part(_ start: Int64, _ next: Int64, _ end: Int64) -> RebuildProgress.Partition {
            RebuildProgress.Partition(partition: whole, start: start, next: next, end: end)
        }
        let half = RebuildProgress(partitions: [part(0, 5, 10), part(100, 105, 110)], behindLive: 7)
        #expect(half.done == 10 && half.total == 20 && half.fraction == 0.5 && !half.hasReachedEnds)
        // Records that came after the start do not raise the progress above the total.
        let over = RebuildProgress(partitions: [part(0, 50, 10), part(4, 4, 4)], behindLive: 0)
        #expect(over.done == 10 && over.total == 10 && over.hasReachedEnds)
        #expect(RebuildProgress(partitions: [], behindLive: 0).fraction == 1)
    }
}

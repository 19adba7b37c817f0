import StreamCore
import Testing

@testable import SQLProjections

/// Tests what each pass of a replay reads while the replayed version continues.
@Suite struct ReplayPositionTests {
    private let first = TopicPartition(topic: "t", partition: 0)
    private let second = TopicPartition(topic: "t", partition: 1)

    private func applied(_ partitions: (TopicPartition, Range<Int64>, Set<Int64>)...) -> AppliedRanges {
        AppliedRanges(
            Dictionary(uniqueKeysWithValues: partitions.map { ($0.0, .init(offsets: $0.1, parked: $0.2)) }))
    }

    private func offsets(_ pass: ReplayPosition.Pass, _ partition: TopicPartition) -> [Int64] {
        (pass.ranges[partition].map(Array.init) ?? []).filter { pass.applies(partition, $0) }
    }

    @Test func theFirstPassReadsAllButWhatIsParked() throws {
        let pass = try ReplayPosition().pass(to: applied((first, 2..<8, [3, 5]), (second, 0..<0, [])))
        #expect(offsets(pass, first) == [2, 4, 6, 7])
        #expect(pass.ranges == [first: 2..<8] && pass.count == 6)
    }

    @Test func aLaterPassReadsWhatIsNewAndWhatWasReleased() throws {
        var position = ReplayPosition()
        position.passed(to: applied((first, 0..<10, [4, 6, 8]), (second, 0..<3, [])))
        // 4 and 8 were retried. 6 is still parked, and so is 11 behind it. A partition was added.
        let third = TopicPartition(topic: "u", partition: 0)
        let pass = try position.pass(
            to: applied((first, 0..<12, [6, 11]), (second, 0..<3, []), (third, 0..<1, [])))
        #expect(offsets(pass, first) == [4, 8, 10])
        #expect(pass.ranges == [first: 4..<12, third: 0..<1])
        #expect(offsets(pass, third) == [0])
    }

    @Test func aPassWithoutProgressReadsNothing() throws {
        let state = applied((first, 0..<10, [4]))
        var position = ReplayPosition()
        position.passed(to: state)
        let pass = try position.pass(to: state)
        #expect(pass.ranges.isEmpty && pass.count == 0)
    }

    @Test func aVersionThatGaveUpWhatItHadIsNotFollowed() {
        var position = ReplayPosition()
        position.passed(to: applied((first, 5..<10, [6])))
        for state in [
            applied((first, 5..<9, [6])), applied((first, 0..<10, [6])), applied((first, 5..<10, [6, 7])),
            applied((second, 0..<10, [])),
        ] {
            #expect(throws: ReplayPosition.MovedBack(partition: first)) { try position.pass(to: state) }
        }
    }
}

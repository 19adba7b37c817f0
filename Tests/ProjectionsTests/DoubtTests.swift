import Kafka
import StreamCore
import Testing

@testable import Projections

/// Ends, marks and doubts of partitions, driven step by step.
@Suite struct DoubtTests {
    private static let mark = RecordMark(offset: 4, digest: 7)

    /// A run that was assigned p0 and p1 at offset 5. In p0 it must first read the marked record at offset 4 again.
    private func starting(_ change: (inout RunnerState.Settings) -> Void = { _ in }) throws -> Driver {
        var driver = Driver(change)
        try driver.polled(.assigned([p0, p1]))
        try driver.database(.offsetsLoaded([p0: 5, p1: 5], marks: [p0: Self.mark]))
        try driver.polled()
        #expect(driver.intake?.commands == [.start(StartCommand(new: [p0: 4, p1: 5]))])
        return driver
    }

    private func someError() throws -> KafkaError {
        do throws(KafkaError) {
            _ = try KafkaAdmin(KafkaClientConfiguration(bootstrapServers: ""))
        } catch {
            return error
        }
        throw Away()
    }

    // MARK: ends

    @Test func aHoleAtTheEndIsPassedByATransactionWithoutEvents() throws {
        var driver = try Driver.owning([p0: 3])
        var layout = BatchLayout()
        layout.appendHole(part: layout.appendPart(p0, from: 3), to: 8)
        try driver.polled(.batch(layout)) { $0.ends = [p0: 8] }
        #expect(driver.write?.moves == [OffsetMove(partition: p0, expected: 3, next: 8)])
        #expect(driver.write?.slice.items.isEmpty == true)
        #expect(driver.state.partitions[p0]?.isAtEnd == true)
        try driver.database(.written(.committed()))
        #expect(driver.state.partitions[p0]?.committed == 8)
        #expect(driver.intake?.positions == [p0: 8])
    }

    @Test func thePartitionIsAtItsEndUntilMoreIsRead() throws {
        var driver = try Driver.owning([p0: 3])
        #expect(driver.state.partitions[p0]?.isAtEnd == false)
        try driver.polled { $0.ends = [p0: 3] }
        #expect(driver.state.partitions[p0]?.isAtEnd == true)
        try driver.polled(batch([(p0, 3)]))
        #expect(driver.state.partitions[p0]?.isAtEnd == false)
    }

    // MARK: marks

    @Test func aMarkedRecordIsReadAgainAndNotAppliedAgain() throws {
        var driver = try starting()
        #expect(driver.intake?.positions == [p0: 5, p1: 5])
        #expect(driver.intake?.marks == [p0: Self.mark])
        try driver.polled()
        #expect(driver.intake?.marks == [p0: Self.mark], "the marked record has not come yet")
        try driver.polled(batch([(p0, 5)])) { $0.continuity = [p0: .same] }
        #expect(driver.intake?.marks == [:])
        #expect(driver.write?.moves == [OffsetMove(partition: p0, expected: 5, next: 7)])
    }

    @Test func theLastRecordOfASliceIsItsMark() throws {
        var driver = try Driver.owning([p0: 5])
        var layout = BatchLayout()
        let part = layout.appendPart(p0, from: 5)
        for offset in 5..<9 { layout.appendEvent(part: part, offset: Int64(offset)) }
        layout.appendMark(RecordMark(offset: 8, digest: 1), part: part)
        layout.appendHole(part: part, to: 11)
        try driver.polled(.batch(layout))
        let whole = OffsetMove(partition: p0, expected: 5, next: 11, mark: RecordMark(offset: 8, digest: 1))
        #expect(driver.write?.moves == [whole])
        // The first half gets no mark, because its last record is not known.
        try driver.database(.written(.tooSlow(transient)))
        try driver.backOff()
        #expect(driver.write?.moves == [OffsetMove(partition: p0, expected: 5, next: 7)])
    }

    @Test func anotherRecordStopsThePartitionAlone() throws {
        var driver = try starting()
        try driver.polled(batch([(p1, 5)])) { $0.continuity = [p0: .otherRecord(Self.mark)] }
        driver.examined(p0, low: 0, high: 20)
        #expect(driver.write?.moves == [OffsetMove(partition: p1, expected: 5, next: 7)])
        try driver.database(.written(.committed()))
        #expect(driver.loading == [p0])
        try driver.database(.offsetsLoaded([p0: 5], marks: [p0: Self.mark]))
        #expect(
            driver.stopped == [StoppedPartition(partition: p0, offset: 5, reason: .replacedTopic(low: 0, high: 20))])
        try driver.polled()
        #expect(driver.intake?.commands == [.pause([p0])])
        #expect(driver.intake?.positions == [p1: 7])
    }

    @Test func aTopicMadeAnewMayBeReadFromItsBeginning() throws {
        var driver = try starting { $0.retryTopic = p0.topic }
        try driver.polled { $0.continuity = [p0: .otherRecord(Self.mark)] }
        driver.examined(p0, low: 2, high: 20)
        try driver.database(.offsetsLoaded([p0: 5], marks: [p0: Self.mark]))
        #expect(driver.stopped.isEmpty)
        #expect(driver.rewinding == [OffsetMove(partition: p0, expected: 5, next: 2)])
        // The rewind is repeated after the database was away.
        try driver.database(.databaseFailed(transient))
        try driver.backOff()
        #expect(driver.rewinding == [OffsetMove(partition: p0, expected: 5, next: 2)])
        try driver.database(.rewound)
        #expect(driver.loading == [p0])
        try driver.database(.offsetsLoaded([p0: 2]))
        try driver.polled()
        #expect(driver.intake?.commands == [.start(StartCommand(moved: [p0: 2]))])
        try driver.polled()
        try driver.polled(batch([(p0, 2)]))
        #expect(driver.write?.moves == [OffsetMove(partition: p0, expected: 2, next: 4)])
    }

    @Test func aRecordThatCompactionRemovedIsNotMissed() throws {
        var driver = try starting()
        try driver.polled { $0.continuity = [p0: .noRecord(Self.mark)] }
        #expect(driver.examining == [p0: .noRecord(Self.mark)])
        driver.examined(p0, low: 0, high: 20, isCompacted: true)
        try driver.database(.offsetsLoaded([p0: 5], marks: [p0: Self.mark]))
        #expect(driver.stopped.isEmpty)
        try driver.polled()
        #expect(driver.intake?.commands == [.start(StartCommand(moved: [p0: 5]))])
        #expect(driver.intake?.marks == [:])
    }

    // MARK: out of range

    @Test func anOffsetOutOfRangeIsAskedAboutAndReadAnew() throws {
        var driver = try Driver.owning([p0: 5])
        try driver.polled(.outOfRange([p0]))
        #expect(driver.loading == nil)
        #expect(driver.intake?.positions == [:])
        driver.examined(p0, low: 0, high: 9)
        try driver.database(.offsetsLoaded([p0: 5]))
        try driver.polled()
        #expect(driver.intake?.commands == [.start(StartCommand(moved: [p0: 5]))])
        // If the partition is read again for another reason, the earlier answer of Kafka no longer counts.
        try driver.polled()
        try driver.polled(batch([(p0, 5)]))
        try driver.database(.written(.fenced))
        try driver.backOff()
        try driver.database(.offsetsLoaded([p0: 12]))
        #expect(driver.stopped.isEmpty)
    }

    @Test func truncatedHistoryStopsAPartition() throws {
        var driver = try Driver.owning([p0: 5, p1: 5])
        try driver.polled(.outOfRange([p0]))
        driver.examined(p0, low: 9, high: 20)
        try driver.database(.offsetsLoaded([p0: 5]))
        #expect(driver.stopped.map(\.reason) == [.truncatedHistory(low: 9, high: 20)])
        try driver.polled()
        #expect(driver.intake?.commands == [.pause([p0])])
        #expect(driver.intake?.positions == [p1: 5])
    }

    @Test func truncatedHistoryMayBePassedOver() throws {
        var driver = try Driver.owning([p0: 5]) { $0.continuesAfterTruncation = true }
        try driver.polled(.outOfRange([p0]))
        driver.examined(p0, low: 9, high: 20)
        try driver.database(.offsetsLoaded([p0: 5]))
        #expect(driver.rewinding == [OffsetMove(partition: p0, expected: 5, next: 9)])
        try driver.database(.rewound)
        try driver.database(.offsetsLoaded([p0: 9]))
        try driver.polled()
        try driver.polled()
        try driver.polled(batch([(p0, 9)]))
        #expect(driver.write?.moves == [OffsetMove(partition: p0, expected: 9, next: 11)])
    }

    /// Retention emptied an idle partition. All deleted records had been applied.
    @Test func anEmptiedPartitionThatWasReadToItsEndIsNoGap() throws {
        var driver = try starting()
        try driver.polled(.outOfRange([p0]))
        driver.examined(p0, low: 5, high: 5)
        try driver.database(.offsetsLoaded([p0: 5], marks: [p0: Self.mark]))
        #expect(driver.stopped.isEmpty)
        try driver.polled()
        #expect(driver.intake?.commands == [.start(StartCommand(moved: [p0: 5]))])
        try driver.polled()
        try driver.polled { $0.ends = [p0: 5] }
        #expect(driver.state.partitions[p0]?.isAtEnd == true)
    }

    @Test func kafkaIsAskedAgainAfterAWhileAndOthersGoOn() throws {
        var driver = try Driver.owning([p0: 5, p1: 5])
        try driver.polled(.outOfRange([p0]))
        for _ in 0..<3 {
            #expect(driver.examining.removeValue(forKey: p0) == .outOfRange)
            driver.send(.examined(p0, .failure(try someError())))
            #expect(driver.examining.isEmpty)
            try driver.fire { $0 == .examine(p0) }
        }
        try driver.polled(batch([(p1, 5)]))
        #expect(driver.write?.moves == [OffsetMove(partition: p1, expected: 5, next: 7)])
        let failures = driver.notes.filter { if case .examinationFailed = $0 { true } else { false } }
        #expect(failures.count == 3)
    }

    @Test func aPartitionThatIsTakenAwayIsNotAskedAbout() throws {
        var driver = try Driver.owning([p0: 5])
        try driver.polled(.outOfRange([p0]))
        try driver.polled(.lost([p0]))
        driver.examined(p0, low: 9, high: 20)
        #expect(driver.loading == nil && driver.stopped.isEmpty)
    }
}

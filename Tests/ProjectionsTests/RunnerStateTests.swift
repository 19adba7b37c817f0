import StreamCore
import Testing

@testable import Projections

@Suite struct RunnerStateTests {
    @Test func aPartitionStartsWherePostgresSays() throws {
        var driver = Driver()
        #expect(driver.intake?.polls == true)
        try driver.polled(.assigned([p0]))
        #expect(driver.loading == [p0])
        try driver.database(.offsetsLoaded([p0: 7]))
        try driver.polled()
        #expect(driver.intake?.commands == [.start(StartCommand(new: [p0: 7]))])
        #expect(driver.intake?.positions == [p0: 7])
    }

    @Test func anAssignmentOfNothingIsAnswered() throws {
        var driver = Driver()
        try driver.polled(.assigned([]))
        #expect(driver.intake?.commands == [.start(StartCommand())])
    }

    @Test func theNextBatchIsTakenWhileOneIsWritten() throws {
        var driver = try Driver.owning([p0: 0])
        try driver.polled(batch([(p0, 0)]))
        let first = try #require(driver.write)
        #expect(first.moves == [OffsetMove(partition: p0, expected: 0, next: 2)])
        #expect(driver.intake?.positions == [p0: 2])
        try driver.polled(batch([(p0, 2)]))
        #expect(driver.intake == nil, "at most two batches are held")
        try driver.database(.written(.committed()))
        #expect(driver.discarded == [first.batch])
        #expect(driver.write?.moves == [OffsetMove(partition: p0, expected: 2, next: 4)])
        #expect(driver.intake?.polls == true)
    }

    @Test func aFailureThatPassesIsTriedAgainWithTheSame() throws {
        var driver = try Driver.owning([p0: 0])
        try driver.polled(batch([(p0, 0)]))
        let order = try #require(driver.write)
        try driver.database(.databaseFailed(transient))
        #expect(driver.write == nil && driver.isBackingOff)
        try driver.backOff()
        #expect(driver.write == order)
    }

    @Test func pollingGoesOnWithPartitionsPausedWhileTheDatabaseIsAway() throws {
        var driver = try Driver.owning([p0: 0])
        try driver.polled(batch([(p0, 0)]))
        try driver.polled(batch([(p0, 2)]))
        #expect(driver.intake == nil)
        try driver.database(.databaseFailed(transient))
        #expect(driver.intake?.commands == [.pause([p0])])
        #expect(driver.intake?.polls == true)
        try driver.polled()
        #expect(driver.intake?.commands == [] && driver.intake?.polls == true)
        try driver.backOff()
        try driver.database(.written(.committed()))
        try driver.polled()
        #expect(driver.intake?.commands == [.resume([p0])])
    }

    @Test func aSlowTransactionPausesPartitionsToo() throws {
        var driver = try Driver.owning([p0: 0])
        try driver.polled(batch([(p0, 0)]))
        try driver.polled(batch([(p0, 2)]))
        try driver.tick()
        #expect(driver.intake?.polls != true)
        if driver.intake != nil { try driver.polled() }
        try driver.tick(after: .seconds(2))
        #expect(driver.intake?.polls == true)
        #expect(driver.intake?.commands.contains(.pause([p0])) == true)
    }

    @Test func aRevokedPartitionWaitsForItsTransaction() throws {
        var driver = try Driver.owning([p0: 0, p1: 0])
        try driver.polled(batch([(p0, 0), (p1, 0)]))
        try driver.polled(.revoked([p0]))
        try driver.polled()
        #expect(driver.intake?.commands == [])
        try driver.database(.written(.committed()))
        try driver.polled()
        #expect(driver.intake?.commands == [.copyOffsets([p0: 2]), .giveUp([p0])])
        #expect(driver.intake?.positions == [p1: 2])
    }

    @Test func aRevokedPartitionIsDroppedFromWhatWaits() throws {
        var driver = try Driver.owning([p0: 0, p1: 0])
        try driver.polled(batch([(p0, 0), (p1, 0)]))
        try driver.database(.databaseFailed(transient))
        try driver.polled(.revoked([p0]))
        #expect(driver.intake?.commands.last == .giveUp([p0]))
        try driver.backOff()
        #expect(driver.write?.moves == [OffsetMove(partition: p1, expected: 0, next: 2)])
        #expect(driver.write?.slice.cutOffs == [0: 0])
    }

    @Test func aLostPartitionIsGivenUpAtOnceAndNotWritten() throws {
        var driver = try Driver.owning([p0: 0])
        try driver.polled(batch([(p0, 0)]))
        try driver.polled(batch([(p0, 2)]))
        try driver.database(.written(.committed()))
        #expect(driver.write != nil)
        try driver.polled(.lost([p0]))
        #expect(driver.intake?.commands == [.giveUp([p0])])
        try driver.database(.databaseFailed(transient))
        try driver.backOff()
        #expect(driver.write == nil)
    }

    @Test func aPartitionThatComesBackIsReadAnew() throws {
        var driver = try Driver.owning([p0: 0])
        try driver.polled(batch([(p0, 0)]))
        try driver.polled(.lost([p0]))
        try driver.polled(.assigned([p0]))
        try driver.database(.written(.fenced))
        try driver.backOff()
        #expect(driver.loading == [p0])
        try driver.database(.offsetsLoaded([p0: 40]))
        try driver.polled()
        #expect(driver.intake?.commands.contains(.start(StartCommand(new: [p0: 40]))) == true)
    }

    @Test func aFencedBatchIsDroppedAndReadAnew() throws {
        var driver = try Driver.owning([p0: 0])
        try driver.polled(batch([(p0, 0)]))
        try driver.polled(batch([(p0, 2)]))
        try driver.database(.written(.fenced))
        #expect(driver.isBackingOff)
        try driver.backOff()
        #expect(driver.loading == [p0])
        try driver.database(.offsetsLoaded([p0: 10]))
        #expect(driver.write == nil)
        #expect(driver.discarded.count == 2)
        // The poll that is still running returns records that were fetched before the restart at offset 10.
        if driver.intake?.commands == [] { try driver.polled(batch([(p0, 4)])) }
        #expect(driver.write == nil)
        #expect(driver.intake?.commands.contains(.start(StartCommand(moved: [p0: 10]))) == true)
        try driver.polled()
        try driver.polled(batch([(p0, 10)]))
        #expect(driver.write?.moves == [OffsetMove(partition: p0, expected: 10, next: 12)])
    }

    @Test func nothingIsStartedWhileARevocationWaits() throws {
        var driver = try Driver.owning([p0: 0, p1: 0])
        try driver.polled(.outOfRange([p0]))
        driver.examined(p0, low: 0, high: 10)
        try driver.polled(batch([(p1, 0)]))
        try driver.database(.offsetsLoaded([p0: 3]))
        #expect(driver.write?.moves.map(\.partition) == [p1])
        try driver.polled(.revoked([p1]))
        #expect(driver.intake?.commands == [])
        try driver.database(.written(.committed()))
        try driver.polled()
        let start = ConsumerCommand.start(StartCommand(moved: [p0: 3]))
        #expect(driver.intake?.commands == [.copyOffsets([p1: 2]), .giveUp([p1]), start])
    }

    @Test(arguments: [SettleOutcome.committed, .notCommitted, .fenced])
    func anUnknownCommitIsSettledFirst(outcome: SettleOutcome) throws {
        var driver = try Driver.owning([p0: 0])
        try driver.polled(batch([(p0, 0)]))
        let order = try #require(driver.write)
        try driver.database(.written(.unknown(transient)))
        try driver.backOff()
        #expect(driver.settling == order.moves)
        try driver.database(.databaseFailed(transient))
        try driver.backOff()
        try driver.database(.settled(outcome))
        switch outcome {
        case .committed:
            #expect(driver.write == nil && driver.discarded == [order.batch])
        case .notCommitted:
            #expect(driver.write == order)
        case .fenced:
            #expect(driver.loading == [p0])
        }
    }

    @Test func anEventThatCannotBeDecodedStopsItsPartitionBehindItsNeighbours() throws {
        var driver = try Driver.owning([p0: 0, p1: 0])
        try driver.polled(batch([(p0, 0), (p1, 0)], failing: p0))
        #expect(driver.intake?.commands == [.pause([p0])])
        #expect(driver.intake?.positions == [p1: 2])
        #expect(driver.stopped == [])
        try driver.database(.written(.committed()))
        #expect(driver.stopped.map(\.offset) == [2])
        #expect(driver.stopped.first?.reason == .failedEvent(.decode, EventFailure("bad", "bad")))
        try driver.polled(batch([(p1, 2)]))
        #expect(driver.write?.moves == [OffsetMove(partition: p1, expected: 2, next: 4)])
    }

    @Test func anEventThatCannotBeAppliedIsFoundAndStopsItsPartition() throws {
        var driver = try Driver.owning([p0: 0, p1: 0])
        try driver.polled(batch([(p0, 0), (p1, 0)]))
        let failure = EventFailure("sql_22P02", "no number")
        let failed = ItemFailure(stage: .apply, failure: failure)
        // The second event of p0 is at index 2 of the batch.
        while let order = driver.write {
            let isBad = order.slice.items.contains(2) && order.slice.cutOffs[0] == nil
            if isBad { try driver.failWrite(.event(failed)) } else { try driver.database(.written(.committed())) }
        }
        #expect(
            driver.stopped == [
                StoppedPartition(partition: p0, offset: 1, reason: .failedEvent(.apply, failure))
            ])
        #expect(driver.state.partitions[p0]?.committed == 1)
        #expect(driver.state.partitions[p1]?.committed == 2)
    }

    @Test func everythingFailingEndsTheRunAfterAFewAttempts() throws {
        var driver = try Driver.owning([p0: 0]) { $0.everythingFailureLimit = 3 }
        try driver.polled(batch([(p0, 0)]))
        let failure = DatabaseFailure(kind: .everything, underlying: Away())
        for _ in 0..<2 {
            try driver.database(.databaseFailed(failure))
            #expect(driver.failed == nil)
            try driver.backOff()
        }
        try driver.database(.databaseFailed(failure))
        #expect(driver.failed?.description.hasPrefix("the database refuses") == true)
    }

    @Test func stoppingWritesWhatWasTakenAndThenLeaves() throws {
        var driver = try Driver.owning([p0: 0])
        try driver.polled(batch([(p0, 0)]))
        driver.send(.stopRequested)
        try driver.polled(batch([(p0, 2)]))
        #expect(driver.intake == nil)
        try driver.database(.written(.committed()))
        #expect(driver.finished == nil)
        try driver.database(.written(.committed()))
        #expect(driver.finished == [p0: 4])
    }

    @Test func stoppingDoesNotWaitForADatabaseThatIsAway() throws {
        var driver = try Driver.owning([p0: 0])
        try driver.polled(batch([(p0, 0)]))
        try driver.database(.databaseFailed(transient))
        driver.send(.stopRequested)
        try driver.polled()
        #expect(driver.finished == [:] || driver.finished == [p0: 0])
    }

    @Test func aStopThatTakesTooLongFails() throws {
        var driver = try Driver.owning([p0: 0])
        try driver.polled(batch([(p0, 0)]))
        driver.send(.stopRequested)
        try driver.fire { $0 == .drain }
        #expect(driver.failed?.description.contains("did not end") == true)
    }

    @Test func offsetsAreCopiedToKafkaOnceASecond() throws {
        var driver = try Driver.owning([p0: 0])
        try driver.polled(batch([(p0, 0)]))
        try driver.database(.written(.committed()))
        try driver.tick()
        try driver.polled()
        #expect(driver.intake?.commands == [.copyOffsets([p0: 2])])
        try driver.polled(batch([(p0, 2)]))
        try driver.database(.written(.committed()))
        try driver.tick()
        try driver.polled()
        #expect(driver.intake?.commands == [])
        try driver.tick(after: .seconds(1))
        try driver.polled()
        #expect(driver.intake?.commands == [.copyOffsets([p0: 4])])
    }

    @Test func aSlowStatementIsTriedWithFewerEvents() throws {
        var driver = try Driver.owning([p0: 0])
        try driver.polled(batch([(p0, 0)], count: 8))
        try driver.database(.written(.tooSlow(transient)))
        try driver.backOff()
        #expect(driver.write?.slice.items == 0..<4)
    }

    @Test func prunesNowAndThen() throws {
        var driver = try Driver.owning([p0: 0])
        try driver.tick(after: .seconds(1_000))
        try driver.database(.reviewed([p0: 0]))
        #expect(driver.isPruning)
        try driver.database(.pruned)
        try driver.tick()
        #expect(!driver.isPruning)
    }
}

import StreamCore
import Testing

@testable import Projections

@Suite struct CircuitBreakerTests {
    @Test func trialsMeetEveryPartOfTheBatchSoonAndAllOfItInTheEnd() {
        let places = (0..<8).map { CircuitBreaker.place(of: $0, among: 8) }
        #expect(Array(places.prefix(4)) == [0, 4, 2, 6])
        #expect(Set(places) == Set(0..<8))
    }

    @Test func delaysGrowToTheirCeiling() {
        var breaker = CircuitBreaker([.run], initial: .seconds(1), ceiling: .seconds(30))
        let delays = (1...8).map { timer in
            let delay = breaker.hold(until: timer)
            var fired = breaker.fired(timer - 1)
            #expect(!fired, "the timer of another circuit breaker has no effect")
            fired = breaker.fired(timer)
            #expect(fired)
            return delay
        }
        #expect(delays[0] >= .milliseconds(500) && delays[0] <= .seconds(1))
        #expect(delays.allSatisfy { $0 <= .seconds(30) })
        #expect(delays[7] >= .seconds(15))
    }
}

@Suite struct BreakerStateTests {
    private let kind = FailureCounts.Kind(errorClass: "bad", eventType: "A")
    private let bad = EventFailure("bad", "bad")

    /// A run that owns both partitions. The circuit breaker of p0 has opened in a batch that also has an event of p1.
    private func opened() throws -> Driver {
        var driver = try Driver.owning([p0: 0, p1: 0]) { $0.parks = true }
        try driver.polled(batch([(p0, 0), (p1, 0)], count: 4))
        // The last event that may be parked is the second event of p0, at index 2.
        try driver.database(.written(.tooLong([0: 4])))
        let order = try #require(driver.write)
        #expect(order.slice.cutOffs == [0: 4])
        #expect(order.moves.map(\.next) == [2, 4])
        try driver.polled(batch([(p0, 4), (p1, 4)]))
        try driver.database(.written(.committed([p0: BreakerNews(open: [kind], hasCounted: true)])))
        return driver
    }

    /// Fires the trial's timer and delivers the first records of the partition.
    private func bringTrial(_ driver: inout Driver, at offset: Int64 = 2) throws {
        try driver.fireTrial()
        #expect(driver.loading == [p0])
        try driver.database(.offsetsLoaded([p0: offset], open: [p0: [kind]]))
        try driver.polled()
        if driver.intake?.commands != [] { try driver.polled() }
        try driver.polled(batch([(p0, offset)], count: 8))
    }

    @Test func anOpenOneHoldsItsPartitionAndNoOther() throws {
        var driver = try opened()
        #expect(driver.breakerNotes(p0) == [.open([kind])])
        #expect(driver.breakerNotes(p1) == [])
        #expect(
            driver.write?.moves == [OffsetMove(partition: p1, expected: 4, next: 6)],
            "the events of p0 that were taken are dropped")
        try driver.database(.written(.committed()))
        while driver.intake?.commands == [] { try driver.polled() }
        #expect(driver.intake?.commands.contains(.pause([p0])) == true)
        #expect(driver.intake?.positions == [p1: 6])
        for round in 0..<20 {
            try driver.polled(batch([(p1, Int64(6 + 2 * round))]))
            try driver.database(.written(.committed()))
        }
        #expect(driver.state.partitions[p1]?.committed == 46)
        #expect(driver.trialDelays.count == 1)
    }

    @Test func aTrialThatFailsHoldsItForLongerAndParksNothing() throws {
        var driver = try opened()
        try driver.database(.written(.committed()))
        for round in 0..<4 {
            try bringTrial(&driver)
            let trial = try #require(driver.trial)
            #expect(trial.candidates == Array(0..<8) && trial.kinds == [kind] && trial.number == round)
            try driver.database(.tried(.failed(bad)))
            #expect(driver.write == nil)
        }
        #expect(driver.trialDelays.count == 5)
        #expect(driver.state.partitions[p0]?.committed == 2)
        #expect(driver.breakerNotes(p0) == [.open([kind])])
    }

    @Test func aTrialThatSucceedsLetsThePartitionGoOn() throws {
        var driver = try opened()
        try driver.database(.written(.committed()))
        try bringTrial(&driver)
        try driver.database(.tried(.passed(open: [])))
        #expect(driver.breakerNotes(p0) == [.open([kind]), .closed(.success)])
        #expect(driver.write?.moves == [OffsetMove(partition: p0, expected: 2, next: 10)])
        try driver.database(.written(.committed()))
        try driver.polled(batch([(p0, 10)]))
        #expect(driver.trial == nil && driver.write != nil)
    }

    @Test func anotherKindThatIsOpenIsTriedToo() throws {
        var driver = try opened()
        try driver.database(.written(.committed()))
        try bringTrial(&driver)
        let other = FailureCounts.Kind(errorClass: "bad", eventType: "B")
        try driver.database(.tried(.passed(open: [other])))
        #expect(driver.trial?.kinds == [other])
        try driver.database(.tried(.failed(bad)))
        #expect(driver.write == nil && driver.trialDelays.count == 2)
    }

    /// A series of undecodable records of any length: each trial passes one record.
    @Test func withNothingToTryOneIsParkedATrial() throws {
        var driver = try opened()
        try driver.database(.written(.committed()))
        for round in 0..<10 {
            try bringTrial(&driver, at: Int64(2 + round))
            try driver.database(.tried(.nothingToTry))
            #expect(driver.write != nil)
            try driver.database(.written(.tooLong([0: 1])))
            let start = Int64(2 + round)
            #expect(driver.write?.moves == [OffsetMove(partition: p0, expected: start, next: start + 1)])
            try driver.database(.written(.committed([p0: BreakerNews(open: [kind], hasCounted: true)])))
            #expect(driver.trialDelays.count == round + 2)
        }
        #expect(driver.state.partitions[p0]?.committed == 12)
    }

    @Test func eventsOfOtherTypesPassWhileItIsOpen() throws {
        var driver = try opened()
        try driver.database(.written(.committed()))
        try bringTrial(&driver)
        try driver.database(.tried(.nothingToTry))
        try driver.database(.written(.committed()))
        #expect(driver.trialDelays.count == 1, "nothing was parked, so the partition continues")
        try driver.polled(batch([(p0, 10)]))
        #expect(driver.trial != nil, "every batch is tried first")
    }

    @Test func anOperatorsReleaseIsSeenAtTheNextTrial() throws {
        var driver = try opened()
        try driver.database(.written(.committed()))
        try driver.fireTrial()
        try driver.database(.offsetsLoaded([p0: 2]))
        #expect(driver.breakerNotes(p0) == [.open([kind]), .closed(.database)])
        try driver.polled()
        if driver.intake?.commands != [] { try driver.polled() }
        try driver.polled(batch([(p0, 2)]))
        #expect(driver.trial == nil)
        #expect(driver.write?.moves == [OffsetMove(partition: p0, expected: 2, next: 4)])
    }

    @Test func oneThatIsOpenAtTheStartStaysSo() throws {
        var driver = Driver { $0.parks = true }
        try driver.polled(.assigned([p0]))
        try driver.database(.offsetsLoaded([p0: 0], open: [p0: [kind]]))
        try driver.polled()
        try driver.polled()
        try driver.polled(batch([(p0, 0)]))
        #expect(driver.write == nil && driver.trial != nil)
        #expect(driver.breakerNotes(p0) == [.open([kind])])
    }

    @Test func aStopDoesNotWaitForIt() throws {
        var driver = try opened()
        driver.send(.stopRequested)
        try driver.database(.written(.committed()))
        if driver.intake != nil { try driver.polled() }
        #expect(driver.finished?[p0] == 2 && driver.finished?[p1] == 6)
    }

    @Test func aRevokedPartitionTakesItsCircuitBreakerAlong() throws {
        var driver = try opened()
        try driver.database(.written(.committed()))
        while driver.intake?.commands != [] { try driver.polled() }
        try driver.polled(.revoked([p0]))
        try driver.fireTrial()
        #expect(driver.loading == nil && driver.state.breakers.isEmpty)
        try driver.polled()
        try driver.polled(.assigned([p0]))
        #expect(driver.loading == [p0], "the next owner reads the counts")
    }

    /// If the partition were paused, the client would fetch none of its records when it is assigned again.
    @Test func aPartitionThatIsGivenUpIsNotPausedAfterwards() throws {
        var driver = try opened()
        try driver.database(.written(.committed()))
        // The poll that is running began before the pause.
        try driver.polled(.revoked([p0]))
        let commands = try #require(driver.intake?.commands)
        #expect(commands.contains(.giveUp([p0])) && !commands.contains(.pause([p0])))
    }

    @Test func aDatabaseThatFailsInATrialBringsTheTrialAgain() throws {
        var driver = try opened()
        try driver.database(.written(.committed()))
        try bringTrial(&driver)
        let order = try #require(driver.trial)
        try driver.database(.databaseFailed(transient))
        try driver.backOff()
        #expect(driver.trial?.batch == order.batch && driver.trial?.number == 1)
    }

    @Test func anUnknownCommitThatOpenedItHoldsThePartition() throws {
        var driver = try Driver.owning([p0: 0]) { $0.parks = true }
        try driver.polled(batch([(p0, 0)], count: 4))
        try driver.database(.written(.unknown(transient)))
        try driver.backOff()
        try driver.database(.settled(.committed, open: [p0: [kind]]))
        #expect(driver.breakerNotes(p0) == [.open([kind])] && driver.trialDelays.count == 1)
    }

    /// The records after a cut are read again, even if nothing holds the partition in the end.
    @Test func aPartThatWasCutAndGoesOnIsReadAgain() throws {
        var driver = try Driver.owning([p0: 0]) { $0.parks = true }
        try driver.polled(batch([(p0, 0)], count: 4))
        try driver.database(.written(.tooLong([0: 2])))
        try driver.database(.written(.committed([p0: BreakerNews(open: [], hasCounted: true)])))
        #expect(driver.loading == [p0])
        #expect(driver.state.partitions[p0]?.committed == 2)
    }
}

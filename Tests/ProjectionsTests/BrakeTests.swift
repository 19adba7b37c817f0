import StreamCore
import Testing

@testable import Projections

@Suite struct BrakeTests {
    private func brake(limit: Int = 3) -> Brake {
        Brake(limit: limit, initial: .seconds(1), ceiling: .seconds(30))
    }

    @Test func itOpensAtItsLimitAndClosesAtAnyOtherCount() {
        var brake = brake()
        #expect(brake.counted(2) == nil)
        #expect(!brake.isOpen && brake.budget == 1)
        #expect(brake.counted(3) == .opened)
        #expect(brake.counted(4) == nil)
        #expect(brake.counted(0) == .closed)
        #expect(brake.budget == 3)
    }

    @Test func withoutALimitItNeverOpens() {
        var brake = brake(limit: 0)
        #expect(brake.counted(1_000_000) == nil)
        #expect(!brake.isOpen && brake.budget == .max)
    }

    @Test func triesMeetEveryPartOfTheQueueSoonAndAllOfItInTheEnd() {
        var brake = brake()
        let tries = (0..<8).map { _ in brake.takeTry(among: 8) }
        #expect(Array(tries.prefix(4)) == [0, 4, 2, 6])
        #expect(Set(tries) == Set(0..<8))
    }

    @Test func delaysGrowToTheirCeiling() {
        var brake = brake()
        _ = brake.counted(3)
        var delays: [Duration] = []
        for timer in 1...8 {
            delays.append(brake.wait(for: timer))
            brake.fired(timer - 1)
            #expect(!brake.isTryDue, "another's timer is none")
            brake.fired(timer)
            #expect(brake.isTryDue)
            _ = brake.takeTry(among: 1)
        }
        #expect(delays[0] >= .milliseconds(500) && delays[0] <= .seconds(1))
        #expect(delays.allSatisfy { $0 <= .seconds(30) })
        #expect(delays[7] >= .seconds(15))
    }
}

@Suite struct ParkingStateTests {
    private let failure = ItemFailure(stage: .apply, failure: EventFailure("bad", "bad"))

    private func driver(brakeAfter: Int = 3) throws -> Driver {
        try Driver.owning([p0: 0, p1: 0]) {
            $0.parks = true
            $0.brakeAfter = brakeAfter
        }
    }

    @Test func anEventThatFailsIsMarkedAndItsPartitionGoesOn() throws {
        var driver = try driver()
        try driver.polled(batch([(p0, 0), (p1, 0)], count: 4))
        // The third event of p0, at index 4 of the batch.
        var parked: [Int] = []
        while let order = driver.write {
            let isBad = order.slice.items.contains(4) && order.slice.failures[4] == nil
            if !isBad { parked += order.slice.failures.keys }
            try driver.database(.written(isBad ? .permanent(failure, item: nil) : .committed()))
        }
        #expect(parked == [4])
        #expect(driver.stopped == [])
        #expect(driver.state.partitions[p0]?.committed == 4)
        #expect(driver.state.partitions[p1]?.committed == 4)
    }

    @Test func anEventThatIsNamedIsMarkedWithoutSplitting() throws {
        var driver = try driver()
        try driver.polled(batch([(p0, 0)], count: 100))
        try driver.database(.written(.permanent(failure, item: 57)))
        #expect(driver.write?.slice.items == 0..<100)
        #expect(driver.write?.slice.failures == [57: failure])
    }

    @Test func aSliceHasNoMoreFailuresThanTheBrakeAllows() throws {
        var driver = try driver(brakeAfter: 3)
        var layout = BatchLayout()
        let part = layout.appendPart(p0, from: 0)
        for offset in 0..<10 {
            layout.appendWithoutEvent(part: part, offset: Int64(offset), EventFailure("bad", "bad"))
        }
        try driver.polled(.batch(layout))
        #expect(driver.write?.slice.items == 0..<3)
        #expect(driver.write?.moves == [OffsetMove(partition: p0, expected: 0, next: 3)])
        try driver.database(.written(.committed(failuresInARow: 2)))
        #expect(driver.write?.slice.items == 3..<4)
        try driver.database(.written(.committed(failuresInARow: 3)))
        #expect(driver.write == nil && driver.probe == nil)
        #expect(driver.brakeNotes == [true])
        #expect(driver.probeDelays.isEmpty, "there is nothing to try")
        try driver.polled(batch([(p1, 0)]))
        #expect(driver.probeDelays.count == 1, "now there is")
    }

    @Test func anOpenBrakeTriesOneEventAtATimeUntilOneWorks() throws {
        var driver = try driver()
        try driver.polled(batch([(p0, 0)], count: 8))
        try driver.database(.written(.permanent(failure, item: 0)))
        let order = try #require(driver.write)
        try driver.database(.written(.committed(failuresInARow: 3)))
        #expect(order.slice.items == 0..<8, "the rest of the batch was in it")
        try driver.polled(batch([(p0, 8)], count: 8))
        var tried: [Int] = []
        for _ in 0..<4 {
            try driver.fireProbe()
            let probe = try #require(driver.probe)
            tried.append(probe.item)
            #expect(driver.write == nil)
            try driver.database(.probed(EventFailure("bad", "bad")))
        }
        #expect(tried == [0, 4, 2, 6])
        try driver.fireProbe()
        try driver.database(.probed(nil))
        #expect(driver.brakeNotes == [true, false])
        #expect(driver.write?.moves == [OffsetMove(partition: p0, expected: 8, next: 16)])
        #expect(driver.write?.slice.failures == [:])
    }

    @Test func aBrakeThatIsOpenAtTheStartStaysSo() throws {
        var driver = Driver {
            $0.parks = true
            $0.brakeAfter = 3
        }
        try driver.polled(.assigned([p0]))
        try driver.database(.offsetsLoaded([p0: 0], failuresInARow: 3))
        try driver.polled()
        try driver.polled(batch([(p0, 0)]))
        #expect(driver.write == nil)
        try driver.fireProbe()
        #expect(driver.probe != nil)
    }

    @Test func aStopDoesNotWaitForTheBrake() throws {
        var driver = try driver()
        try driver.polled(batch([(p0, 0)]))
        try driver.database(.written(.committed(failuresInARow: 3)))
        try driver.polled(batch([(p0, 2)]))
        driver.send(.stopRequested)
        try driver.polled()
        #expect(driver.finished == [p0: 2, p1: 0] || driver.finished == [p0: 2])
    }

    @Test func failuresThatPassAreForgottenWhenTheBrakeOpens() throws {
        var driver = try driver()
        try driver.polled(batch([(p0, 0)], count: 2))
        try driver.polled(batch([(p1, 0)], count: 8))
        try driver.database(.written(.committed(failuresInARow: 2)))
        try driver.database(.written(.permanent(failure, item: 3)))
        try driver.database(.written(.permanent(failure, item: 1)))
        #expect(driver.write?.slice.items == 0..<2)
        try driver.database(.written(.committed(failuresInARow: 3)))
        try driver.fireProbe()
        try driver.database(.probed(nil))
        #expect(driver.write?.slice.failures == [:])
        #expect(driver.write?.slice.items == 2..<8)
    }

    @Test func aRevokedPartitionLeavesNothingToTry() throws {
        var driver = try driver()
        try driver.polled(batch([(p0, 0)]))
        try driver.database(.written(.committed(failuresInARow: 3)))
        try driver.polled(batch([(p0, 2)]))
        try driver.polled(.revoked([p0]))
        try driver.fireProbe()
        #expect(driver.probe == nil)
        #expect(driver.discarded.count == 2)
    }

    @Test func whatIsParkedIsCountedNowAndThen() throws {
        var driver = try driver()
        try driver.tick()
        #expect(driver.isCounting)
        try driver.database(.counted)
        try driver.tick()
        #expect(!driver.isCounting)
        try driver.tick(after: .seconds(60))
        #expect(driver.isCounting)
    }

    @Test func theRetryTopicGoesOnAfterTruncation() throws {
        var driver = try Driver.owning([p0: 5]) {
            $0.parks = true
            $0.retryTopic = "t"
        }
        try driver.polled(.outOfRange([p0]))
        driver.examined(p0, low: 9, high: 20)
        try driver.database(.offsetsLoaded([p0: 5]))
        #expect(driver.stopped == [])
        #expect(driver.rewinding == [OffsetMove(partition: p0, expected: 5, next: 9)])
    }

    @Test func failuresThatWereFoundTogetherAreParkedTogether() throws {
        var driver = try driver(brakeAfter: 0)
        var transactions = 0
        for round in 0..<3 {
            try driver.polled(batch([(p0, Int64(round * 2_000))], count: 2_000))
            while let order = driver.write {
                let bad = order.slice.items.filter { $0 % 100 == 37 && order.slice.failures[$0] == nil }
                transactions += 1
                let found = Dictionary(uniqueKeysWithValues: bad.map { ($0, failure) })
                try driver.database(.written(bad.isEmpty ? .committed() : .failing(found)))
                #expect(bad.isEmpty || driver.write?.slice.failures.count == 20)
            }
        }
        #expect(driver.state.partitions[p0]?.committed == 6_000)
        #expect(transactions == 6)
    }
}

import StreamCore
import Testing

@testable import Projections

@Suite struct ParkingStateTests {
    private let failure = ItemFailure(stage: .apply, failure: EventFailure("bad", "bad"))

    private func driver() throws -> Driver {
        try Driver.owning([p0: 0, p1: 0]) { $0.parks = true }
    }

    @Test func anEventThatFailsIsMarkedAndItsPartitionGoesOn() throws {
        var driver = try driver()
        try driver.polled(batch([(p0, 0), (p1, 0)], count: 4))
        // The third event of p0 is at index 4 of the batch.
        var parked: [Int] = []
        while let order = driver.write {
            let isBad = order.slice.items.contains(4) && order.slice.failures[4] == nil
            if !isBad { parked += order.slice.failures.keys }
            if isBad { try driver.failWrite(.event(failure)) } else { try driver.database(.written(.committed())) }
        }
        #expect(parked == [4])
        #expect(driver.stopped == [])
        #expect(driver.state.partitions[p0]?.committed == 4)
        #expect(driver.state.partitions[p1]?.committed == 4)
    }

    @Test func anEventThatIsNamedIsMarkedWithoutSplitting() throws {
        var driver = try driver()
        try driver.polled(batch([(p0, 0)], count: 100))
        try driver.failWrite(.event(failure), culprit: 57)
        #expect(driver.write?.application == .around(suspect: 57, isTolerant: false))
        try driver.failWrite(.event(failure), culprit: 57)
        #expect(driver.write?.slice.items == 0..<100)
        #expect(driver.write?.slice.failures == [57: failure])
    }

    @Test func whatIsParkedIsCountedNowAndThen() throws {
        var driver = try driver()
        try driver.tick()
        #expect(driver.isCounting)
        try driver.database(.counted)
        try driver.tick()
        #expect(!driver.isCounting)
        try driver.tick(after: .seconds(60))
        try driver.database(.reviewed([p0: 0, p1: 0]))
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
        var driver = try driver()
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

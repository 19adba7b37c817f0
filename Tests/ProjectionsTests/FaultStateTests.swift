import Postgres
import StreamCore
import Testing

@testable import Projections

/// What the run does after a transaction failed while it applied events.
@Suite struct FaultStateTests {
    private let failure = ItemFailure(stage: .apply, failure: EventFailure("bad", "bad"))
    private let missing = DatabaseFailure(
        kind: .everything, underlying: PostgresError(.server, "no such table", sqlState: SQLState("42P01")))

    private func driver(parks: Bool = true) throws -> Driver {
        try Driver.owning([p0: 0]) { $0.parks = parks }
    }

    @Test func theSliceIsTriedOnceMoreAroundTheEventsThatFail() throws {
        var driver = try driver()
        try driver.polled(batch([(p0, 0)], count: 8))
        try driver.failWrite(.event(failure))
        let order = try #require(driver.write)
        #expect(order.slice.items == 0..<8 && order.isSecondTry)
        #expect(order.application == .around(suspect: nil, isTolerant: false))
        try driver.failWrite(.event(failure))
        #expect(driver.write?.slice.items == 0..<4, "the second try also failed as a whole")
        #expect(driver.write?.application == .together)
    }

    @Test func whereFailuresStopTheirPartitionsTheSliceIsSplitAtOnce() throws {
        var driver = try driver(parks: false)
        try driver.polled(batch([(p0, 0)], count: 8))
        try driver.failWrite(.event(failure))
        #expect(driver.write?.slice.items == 0..<4)
        #expect(driver.write?.isSecondTry == false)
    }

    @Test func aSingleEventIsMarkedAtOnce() throws {
        var driver = try driver()
        try driver.polled(batch([(p0, 0)], count: 1))
        try driver.failWrite(.event(failure), culprit: 0)
        #expect(driver.write?.slice.failures == [0: failure])
    }

    @Test func anOutdatedStatementGetsOneMoreTry() throws {
        var driver = try driver()
        try driver.polled(batch([(p0, 0)], count: 1))
        try driver.failWrite(.event(failure), culprit: 0, mayBeOutdated: true)
        #expect(driver.write?.slice.failures == [:])
        #expect(driver.write?.isSecondTry == true)
        try driver.failWrite(.event(failure), culprit: 0, mayBeOutdated: true)
        #expect(driver.write?.slice.failures == [0: failure])
    }

    @Test func anErrorOfEverybodysIsLookedForInOneEventFirst() throws {
        var driver = try driver()
        try driver.polled(batch([(p0, 0)], count: 8))
        try driver.failWrite(.doubtful(failure, missing))
        #expect(driver.write?.application == .around(suspect: nil, isTolerant: true))
        try driver.failWrite(.doubtful(failure, missing))
        #expect(driver.isBackingOff)
        try driver.backOff()
        #expect(driver.write?.isSecondTry == false, "a backoff is followed by a first try")
    }

    @Test func aLostConnectionEndsTheSecondTry() throws {
        var driver = try driver()
        try driver.polled(batch([(p0, 0)], count: 8))
        try driver.failWrite(.event(failure))
        #expect(driver.write?.isSecondTry == true)
        try driver.database(.databaseFailed(transient))
        try driver.backOff()
        #expect(driver.write?.isSecondTry == false)
        #expect(driver.write?.slice.items == 0..<8)
    }

    @Test func whereEventsFailTheNextSliceIsTriedInParts() throws {
        var driver = try driver()
        try driver.polled(batch([(p0, 0)], count: 8))
        try driver.database(.written(.committed(failureDistance: 3)))
        try driver.polled(batch([(p0, 8)], count: 8))
        #expect(driver.write?.application == .inParts(of: 3))
        try driver.database(.written(.committed()))
        try driver.polled(batch([(p0, 16)], count: 8))
        #expect(driver.write?.application == .together)
    }
}

import Postgres
import StreamCore
import Testing

@testable import Projections

/// Errors that are rarely caused by an event. The runner decides by whether other events also fail with the error.
@Suite struct DoubtStateTests {
    private let failure = ItemFailure(stage: .apply, failure: EventFailure("sql_42P01", "no such table"))
    private let cause = DatabaseFailure(
        kind: .everything, underlying: PostgresError(.server, "no such table", sqlState: SQLState("42P01")))
    private let locked = DatabaseFailure(
        kind: .transient, underlying: PostgresError(.server, "locked", sqlState: SQLState("55P03")))
    private let slow = DatabaseFailure(
        kind: .transient, underlying: PostgresError(.server, "slow", sqlState: SQLState("57014")))

    private func driver(_ change: (inout RunnerState.Settings) -> Void = { _ in }) throws -> Driver {
        try Driver.owning([p0: 0, p1: 0]) {
            $0.parks = true
            change(&$0)
        }
    }

    @Test func oneThatFailsAloneIsToBlameWhenAnotherCanBeApplied() throws {
        var driver = try driver()
        try driver.polled(batch([(p0, 0)], count: 1))
        try driver.polled(batch([(p1, 0)], count: 1))
        let order = try #require(driver.write)
        try driver.database(.written(.unproven([0: failure], cause)))
        let probe = try #require(driver.probe)
        #expect(probe.batch != order.batch)
        try driver.database(.probed(nil))
        #expect(driver.write?.batch == order.batch)
        #expect(driver.write?.slice.failures == [0: failure])
        #expect(driver.failed == nil && driver.breakerNotes(p0) == [])
    }

    @Test(arguments: [true, false])
    func whenTheOtherFailsTooItIsEverything(_ isPermanent: Bool) throws {
        var driver = try driver { $0.everythingFailureLimit = 3 }
        try driver.polled(batch([(p0, 0)], count: 1))
        try driver.polled(batch([(p1, 0)], count: 1))
        for attempt in 1...3 {
            try driver.database(.written(.unproven([0: failure], cause)))
            #expect(driver.probe != nil)
            try driver.database(
                isPermanent ? .probed(EventFailure("bad", "bad")) : .databaseFailed(cause))
            if attempt < 3 {
                #expect(driver.probe == nil && driver.write == nil, "the run backs off")
                try driver.backOff()
                #expect(driver.write?.slice.failures == [:], "the failure is not attributed to the event")
            }
        }
        guard case .unusable = driver.failed else {
            Issue.record("ended by \(String(describing: driver.failed))")
            return
        }
    }

    @Test func theOthersOfItsOwnBatchAreWitnessesToo() throws {
        var driver = try driver()
        try driver.polled(batch([(p0, 0), (p1, 0)], count: 3))
        let found = Dictionary(uniqueKeysWithValues: (0..<4).map { ($0, failure) })
        try driver.database(.written(.unproven(found, cause)))
        let probe = try #require(driver.probe)
        #expect([4, 5].contains(probe.item))
        try driver.database(.probed(nil))
        #expect(driver.write?.slice.failures == found)
    }

    @Test func withoutWitnessesItIsTriedAgain() throws {
        var driver = try driver()
        try driver.polled(batch([(p0, 0)], count: 1))
        try driver.database(.written(.unproven([0: failure], cause)))
        #expect(driver.probe == nil && driver.isBackingOff)
        try driver.backOff()
        #expect(driver.write?.slice.items == 0..<1)
    }

    @Test func whatPassesAsARuleIsGivenTime() throws {
        var driver = try driver { $0.patience = 3 }
        try driver.polled(batch([(p0, 0)], count: 4))
        for _ in 0..<3 {
            try driver.failWrite(.doubtful(failure, locked))
            #expect(driver.isBackingOff)
            try driver.backOff()
        }
        try driver.failWrite(.doubtful(failure, locked))
        #expect(driver.write?.application == .around(suspect: nil, isTolerant: true))
        try driver.database(.written(.committed()))
        try driver.polled(batch([(p0, 4)], count: 4))
        try driver.failWrite(.doubtful(failure, locked))
        #expect(driver.isBackingOff)
    }

    @Test func anAbsentDatabaseUsesUpNoPatience() throws {
        var driver = try driver { $0.patience = 2 }
        try driver.polled(batch([(p0, 0)], count: 4))
        for _ in 0..<5 {
            try driver.database(.databaseFailed(transient))
            try driver.backOff()
        }
        try driver.failWrite(.doubtful(failure, locked))
        #expect(driver.isBackingOff)
    }

    @Test func oneThatTakesTooLongAloneIsTriedBesideTheOthers() throws {
        var driver = try driver { $0.patience = 6 }
        try driver.polled(batch([(p0, 0)], count: 8))
        var sizes: [Int] = []
        while let order = driver.write, order.application == .together {
            sizes.append(order.slice.items.count)
            try driver.failWrite(.doubtful(failure, slow))
            if driver.isBackingOff { try driver.backOff() }
        }
        #expect(sizes == [8, 4, 2, 1, 1, 1])
        let order = try #require(driver.write)
        #expect(order.slice.items == 0..<8 && order.application == .around(suspect: 0, isTolerant: true))
        try driver.database(.written(.committed()))
        #expect(driver.state.partitions[p0]?.committed == 8)
    }

    @Test func aStopDoesNotWaitForAWitness() throws {
        var driver = try driver()
        try driver.polled(batch([(p0, 0)], count: 1))
        try driver.polled(batch([(p1, 0)], count: 1))
        driver.send(.stopRequested)
        try driver.database(.written(.unproven([0: failure], cause)))
        #expect(driver.probe == nil)
        #expect(driver.finished != nil)
    }
}

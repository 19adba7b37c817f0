import StreamCore
import Testing

@testable import Projections

/// What a run knows is compared with the database in each new session, and from time to time.
@Suite struct ReviewStateTests {
    private let kind = FailureCounts.Kind(errorClass: "bad", eventType: "Entered")

    @Test func anIdleRunLooksAfterItsSession() throws {
        var driver = try Driver.owning([p0: 5, p1: 5])
        driver.endsSession = true
        try driver.tick()
        #expect(driver.endsSession, "not at each tick")
        try driver.tick(after: .seconds(1))
        #expect(driver.reviewing == [p0, p1])
        try driver.database(.reviewed([p0: 5, p1: 3]))
        #expect(driver.loading == [p1])
        try driver.database(.offsetsLoaded([p1: 3]))
        #expect(driver.wentBack == [p1: "5>3"])
        try driver.polled()
        #expect(driver.intake?.commands.last == .start(StartCommand(moved: [p1: 3])))
        try driver.polled()
        try driver.polled(batch([(p0, 5), (p1, 3)]))
        #expect(driver.write?.moves.map(\.expected) == [5, 3])
    }

    @Test func aNewSessionThatAgreesChangesNothing() throws {
        var driver = try Driver.owning([p0: 5])
        try driver.polled(batch([(p0, 5)]))
        let order = try #require(driver.write)
        try driver.database(.sessionReplaced)
        #expect(driver.reviewing == [p0])
        try driver.database(.reviewed([p0: 5]))
        #expect(driver.write == order && driver.wentBack.isEmpty)
    }

    @Test func recordsOfAPartitionThatWentBackAreDropped() throws {
        var driver = try Driver.owning([p0: 5, p1: 5])
        try driver.polled(batch([(p0, 5), (p1, 5)]))
        try driver.database(.sessionReplaced)
        try driver.polled(batch([(p0, 7)]))
        try driver.database(.reviewed([p0: 1, p1: 5]))
        #expect(driver.loading == [p0])
        try driver.database(.offsetsLoaded([p0: 1]))
        #expect(driver.write?.moves == [OffsetMove(partition: p1, expected: 5, next: 7)])
    }

    @Test func anOffsetAboveOurOwnIsAnotherOwners() throws {
        var driver = try Driver.owning([p0: 5])
        driver.endsSession = true
        try driver.tick(after: .seconds(1))
        try driver.database(.reviewed([p0: 9]))
        #expect(driver.loading == [p0])
        #expect(driver.notes.contains { if case .fenced([p0]) = $0 { true } else { false } })
        try driver.database(.offsetsLoaded([p0: 9]))
        #expect(driver.wentBack.isEmpty)
    }

    @Test func aLostCommitIsLookedUpBeforeAnythingElse() throws {
        var driver = try Driver.owning([p0: 5, p1: 5])
        try driver.polled(batch([(p0, 5)]))
        try driver.database(.written(.unknown(transient)))
        try driver.backOff()
        #expect(driver.settling?.map(\.partition) == [p0])
        // The failover took more than that transaction.
        try driver.database(.settled(.fenced))
        #expect(driver.loading == [p0])
        try driver.database(.sessionReplaced)
        #expect(driver.reviewing == [p0, p1])
        try driver.database(.reviewed([p0: 2, p1: 4]))
        #expect(driver.loading == [p0, p1])
        try driver.database(.offsetsLoaded([p0: 2, p1: 4]))
        #expect(driver.wentBack == [p0: "5>2", p1: "5>4"])
    }

    @Test func aReviewThatFailsIsRepeated() throws {
        var driver = try Driver.owning([p0: 5])
        driver.endsSession = true
        try driver.tick(after: .seconds(1))
        try driver.database(.databaseFailed(transient))
        #expect(driver.isBackingOff)
        try driver.backOff()
        #expect(driver.reviewing == [p0])
    }

    @Test func aReviewIsRepeatedWithoutANewSession() throws {
        var driver = try Driver.owning([p0: 5])
        try driver.tick(after: .seconds(30))
        #expect(driver.reviewing == [p0])
        try driver.database(.reviewed([p0: 5]))
        #expect(driver.database == nil && driver.intake?.commands.isEmpty == true)
    }

    @Test func circuitBreakersAreComparedToo() throws {
        var driver = try Driver.owning([p0: 5, p1: 5]) { $0.parks = true }
        driver.endsSession = true
        try driver.tick(after: .seconds(1))
        if driver.isCounting { try driver.database(.counted) }
        try driver.database(.reviewed([p0: 5, p1: 5], open: [p0: [kind]]))
        #expect(driver.breakerNotes(p0) == [.open([kind])])
        try driver.polled()
        #expect(driver.intake?.commands.last == .pause([p0]))
        // The same again leaves it to its timer.
        try driver.tick(after: .seconds(30))
        try driver.database(.reviewed([p0: 5, p1: 5], open: [p0: [kind]]))
        #expect(driver.loading == nil)
        // It is gone with the transaction that opened it.
        try driver.tick(after: .seconds(30))
        try driver.database(.reviewed([p0: 5, p1: 5]))
        #expect(driver.loading == [p0])
        try driver.database(.offsetsLoaded([p0: 5]))
        #expect(driver.breakerNotes(p0) == [.open([kind]), .closed(.database)])
    }

    @Test func aMoveToTheBeginningOfTheTopicIsNoLoss() throws {
        var driver = try Driver.owning([p0: 5]) { $0.continuesAfterTruncation = true }
        try driver.polled(.outOfRange([p0]))
        driver.examined(p0, low: 0, high: 2)
        try driver.database(.offsetsLoaded([p0: 5]))
        #expect(driver.rewinding == [OffsetMove(partition: p0, expected: 5, next: 0)])
        try driver.database(.rewound)
        try driver.database(.offsetsLoaded([p0: 0]))
        #expect(driver.wentBack.isEmpty)
    }

    @Test func aShutdownWaitsForNoReview() throws {
        var driver = try Driver.owning([p0: 5])
        try driver.polled(batch([(p0, 5)]))
        driver.send(.stopRequested)
        try driver.database(.sessionReplaced)
        #expect(driver.reviewing == [p0])
        try driver.database(.databaseFailed(transient))
        try driver.polled()
        #expect(driver.finished != nil)
    }
}

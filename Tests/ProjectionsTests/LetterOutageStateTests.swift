import StreamCore
import Testing

@testable import Projections

/// Kafka accepts no letters.
@Suite struct LetterOutageStateTests {
    private let refusal = LetterError.late(topic: "dlq", milliseconds: 1)

    /// In this run, p0 needs a letter for its second event, at index 2.
    private func withoutLetters() throws -> Driver {
        var driver = try Driver.owning([p0: 0, p1: 0]) { $0.parks = true }
        try driver.polled(batch([(p0, 0), (p1, 0)], count: 4))
        try driver.polled(batch([(p0, 4), (p1, 4)]))
        try driver.database(.written(.lettersMissing([0: 2], refusal)))
        return driver
    }

    @Test func whatNeedsNoLetterGoesOn() throws {
        var driver = try withoutLetters()
        #expect(driver.lettersNotes == ["-0"])
        #expect(!driver.isBackingOff, "the database works")
        let order = try #require(driver.write)
        #expect(order.moves.map(\.next) == [1, 4] && !order.mayWriteLetters)
        try driver.database(.written(.committed()))
        #expect(driver.write?.moves == [OffsetMove(partition: p1, expected: 4, next: 6)])
        try driver.database(.written(.committed()))
        while driver.intake?.commands == [] { try driver.polled() }
        #expect(driver.intake?.commands.contains(.pause([p0])) == true)
        #expect(driver.intake?.positions == [p1: 6])
    }

    @Test func theLetterIsTriedUntilKafkaTakesIt() throws {
        var driver = try withoutLetters()
        try driver.database(.written(.committed()))
        try driver.database(.written(.committed()))
        for round in 1...3 {
            try driver.fire { $0 == .letters }
            #expect(driver.letterTries == round && driver.database == nil)
            driver.send(.letterTried(round < 3 ? refusal : nil))
        }
        #expect(driver.loading == [p0])
        try driver.database(.offsetsLoaded([p0: 1]))
        while driver.intake?.positions[p0] == nil { try driver.polled() }
        try driver.polled()
        try driver.polled(batch([(p0, 1)]))
        #expect(driver.write?.mayWriteLetters == true)
        #expect(driver.lettersNotes == ["-0"])
        try driver.database(.written(.committed()))
        #expect(driver.lettersNotes == ["-0", "+0"])
    }

    @Test func anotherPartitionThatNeedsOneWaitsWithoutATry() throws {
        var driver = try withoutLetters()
        try driver.database(.written(.committed()))
        try driver.database(.written(.lettersMissing([1: 1], nil)))
        #expect(driver.lettersNotes == ["-0", "-1"])
        #expect(driver.sleeping.filter { $0 == .letters }.count == 1, "one attempt serves all partitions")
    }

    @Test func aCircuitBreakersTrialWaitsForLetters() throws {
        var driver = try withoutLetters()
        let kind = FailureCounts.Kind(errorClass: "bad", eventType: "A")
        try driver.database(.written(.committed([p1: BreakerNews(open: [kind], hasCounted: true)])))
        try driver.fireTrial(p1)
        #expect(driver.loading == nil)
        try driver.fire { $0 == .letters }
        driver.send(.letterTried(nil))
        #expect(driver.loading == [p0, p1])
    }

    @Test func aRevokedPartitionWaitsNoLonger() throws {
        var driver = try withoutLetters()
        try driver.database(.written(.committed()))
        try driver.database(.written(.committed()))
        while driver.intake?.commands != [] { try driver.polled() }
        try driver.polled(.revoked([p0]))
        try driver.fire { $0 == .letters }
        driver.send(.letterTried(nil))
        #expect(driver.loading == nil)
    }
}

import Testing

@testable import Outbox

@Suite struct PacingTests {
    @Test func fullPageIsFollowedAtOnce() {
        var pacing = PollPacing(busy: .milliseconds(1), idle: .milliseconds(20))
        #expect(pacing.next(after: .full, cost: .zero) == .zero)
        #expect(pacing.next(after: .some, cost: .zero) == .milliseconds(1))
    }

    @Test func idleWaitsGrowToTheLimitAndNoFurther() {
        var pacing = PollPacing(busy: .milliseconds(1), idle: .milliseconds(20))
        var quiet = Duration.zero
        for _ in 0..<40 {
            let wait = pacing.next(after: .empty, cost: .zero)
            #expect(wait == min(max(.milliseconds(1), quiet / 4), .milliseconds(20)))
            quiet += wait
        }
        #expect(pacing.next(after: .empty, cost: .zero) == .milliseconds(20))
        #expect(pacing.next(after: .some, cost: .zero) == .milliseconds(1))
        #expect(pacing.next(after: .empty, cost: .zero) == .milliseconds(1))
    }

    @Test func whereLookingTakesLongItWaitsAsLong() {
        var pacing = PollPacing(busy: .milliseconds(1), idle: .milliseconds(20))
        #expect(pacing.next(after: .some, cost: .microseconds(600)) == .milliseconds(1))
        #expect(pacing.next(after: .some, cost: .milliseconds(4)) == .milliseconds(4))
        #expect(pacing.next(after: .empty, cost: .milliseconds(4)) == .milliseconds(4))
        // The pause is at most the idle wait, however long a poll takes. Consumers are promised this limit.
        #expect(pacing.next(after: .some, cost: .seconds(3)) == .milliseconds(20))
        #expect(pacing.next(after: .empty, cost: .seconds(3)) == .milliseconds(20))
        #expect(pacing.next(after: .full, cost: .seconds(3)) == .zero)
    }

    @Test func pagesOfLargeRowsShrinkAtOnceAndGrowByDoubling() {
        var sizing = PageSizing(maximumRows: 1_000, targetBytes: 1 << 20)
        #expect(sizing.rows == 64)
        sizing.read(rows: 64, bytes: 64 * 700)
        #expect(sizing.rows == 128)
        for _ in 0..<5 { sizing.read(rows: sizing.rows, bytes: sizing.rows * 700) }
        #expect(sizing.rows == 1_000)
        sizing.read(rows: 1_000, bytes: 1_000 * 100_000)
        #expect(sizing.rows == 10)
        sizing.read(rows: 1, bytes: 5 << 20)
        #expect(sizing.rows == 1)
        sizing.read(rows: 0, bytes: 0)
        #expect(sizing.rows == 1)
    }

    @Test func rowsThatAreTooLargeForAPageComeInSmallerOnes() {
        var sizing = PageSizing(maximumRows: 1_000, targetBytes: 1 << 20)
        for _ in 0..<6 { sizing.read(rows: sizing.rows, bytes: sizing.rows * 400) }
        #expect(sizing.rows == 1_000)
        #expect(Int(sizing.rowBytes) * sizing.rows <= PageSizing.overrun << 20)
        sizing.met(tooLarge: 100_000)
        #expect(sizing.rows == 10)
        #expect(sizing.rowBytes > 100_000)
        sizing.met(tooLarge: 900_000)
        #expect(sizing.rows == 1)
        #expect(sizing.rowBytes == .max, "a page of one row contains it at any size")
        sizing.met(tooLarge: 1)
        #expect(sizing.rows == 1)
    }

    @Test func sweepsCostAShareOfTheTime() {
        let start = ContinuousClock.now
        var sweeps = SweepSchedule(interval: .seconds(10), now: start)
        #expect(!sweeps.isDue(at: start + .seconds(9)))
        #expect(sweeps.isDue(at: start + .seconds(10)))
        sweeps.started(at: start + .seconds(10))
        #expect(!sweeps.isDue(at: start + .seconds(30)))
        sweeps.finished(at: start + .seconds(11))
        #expect(!sweeps.isDue(at: start + .seconds(60)))
        #expect(sweeps.isDue(at: start + .seconds(61)))
    }
}

@Suite struct OwnershipPacingTests {
    private typealias Outcome = OwnershipPacing.Outcome

    @Test func failuresToConnectWaitSecondsAtMost() {
        var pacing = OwnershipPacing()
        #expect(pacing.next(after: Outcome(lasted: .zero)) <= .milliseconds(100))
        for _ in 0..<20 { _ = pacing.next(after: Outcome(lasted: .zero)) }
        let wait = pacing.next(after: Outcome(lasted: .zero))
        #expect(wait <= .seconds(5) && wait >= .milliseconds(2_500))
    }

    /// Rows that the relay publishes but cannot remove are published again at each attempt.
    @Test func publishingWithoutRemovingWaitsMinutes() {
        var pacing = OwnershipPacing()
        let futile = Outcome(hasPublished: true, lasted: .seconds(1))
        var waits: [Duration] = []
        for _ in 0..<20 { waits.append(pacing.next(after: futile)) }
        #expect(waits[0] >= .milliseconds(250))
        #expect(waits[19] >= .seconds(150) && waits[19] <= .seconds(300))
    }

    @Test func onlyARemovalOrALongTimeShowsThatThingsWork() {
        for good in [Outcome(hasPublished: true, hasRemoved: true, lasted: .zero), Outcome(lasted: .seconds(60))] {
            var pacing = OwnershipPacing()
            for _ in 0..<20 { _ = pacing.next(after: Outcome(hasPublished: true, lasted: .zero)) }
            #expect(pacing.next(after: good) <= .milliseconds(100))
        }
    }
}

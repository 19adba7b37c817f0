import Testing

@testable import OrderQueries

/// Tests which server answers, based on the write-ahead log positions of the primary and the replica.
@Suite struct ServerChoiceTests {
    private let start = ContinuousClock.now

    private func at(_ seconds: Double) -> ContinuousClock.Instant { start + .seconds(seconds) }

    private func choice() -> ServerChoice { ServerChoice(maxDelay: .seconds(5), silence: .seconds(2)) }

    /// A choice whose replica has replayed all of the primary's log, at the seconds 0 to 3.
    private func near() -> ServerChoice {
        var choice = choice()
        for second in 0...3 {
            choice.primary(at: 100, asked: at(Double(second)), now: at(Double(second)))
            choice.replica(at: 100, now: at(Double(second)))
            _ = choice.decide(at: at(Double(second)))
        }
        return choice
    }

    @Test func theReplicaAnswersAfterThreeGoodLooks() {
        var choice = choice()
        #expect(choice.server == .primary && choice.delay(at: at(0)) == nil)
        for (second, isReplica) in [(0.0, false), (1, false), (2, true), (3, true)] {
            choice.primary(at: 100, asked: at(second), now: at(second))
            choice.replica(at: 100, now: at(second))
            let hasChanged = choice.decide(at: at(second))
            #expect(hasChanged == (second == 2))
            #expect((choice.server == .replica) == isReplica)
        }
        #expect(choice.reason == .near)
    }

    /// The delay counts from the time at which the newest replayed position was requested from the primary.
    @Test func theDelayIsMeasuredByThePrimarysPositions() {
        var choice = choice()
        for (second, position) in [(0.0, 100), (1, 200), (2, 300)] as [(Double, Int64)] {
            choice.primary(at: position, asked: at(second), now: at(second + 0.1))
        }
        choice.replica(at: 99, now: at(2.2))
        #expect(choice.delay(at: at(2.2)) == nil)
        choice.replica(at: 250, now: at(2.4))
        #expect(choice.delay(at: at(4)) == .seconds(3))
        choice.replica(at: 300, now: at(4))
        #expect(choice.delay(at: at(4)) == .seconds(2))
        // A lower position does not undo an earlier replay.
        choice.replica(at: 100, now: at(5))
        #expect(choice.delay(at: at(5)) == .seconds(3))
    }

    @Test func aReplicaThatIsTooFarBehindIsLeftUntilItHasCaughtUp() {
        var choice = near()
        #expect(choice.server == .replica)
        for second in 4...8 {
            choice.primary(at: 200, asked: at(Double(second)), now: at(Double(second)))
            choice.replica(at: 150, now: at(Double(second)))
            let hasChanged = choice.decide(at: at(Double(second)))
            #expect(!hasChanged && choice.server == .replica)
        }
        choice.primary(at: 200, asked: at(8.5), now: at(8.5))
        choice.replica(at: 150, now: at(8.5))
        let isLeft = choice.decide(at: at(8.5))
        #expect(isLeft && choice.server == .primary && choice.reason == .delayed)
        for (second, changes) in [(9.0, false), (9.5, false), (10, true)] {
            choice.primary(at: 200, asked: at(second), now: at(second))
            choice.replica(at: 200, now: at(second))
            let hasChanged = choice.decide(at: at(second))
            #expect(hasChanged == changes)
        }
        #expect(choice.server == .replica)
    }

    @Test func aReplicaThatIsAwayOrSilentIsLeftAtOnce() {
        var away = near()
        away.isAway(.replica)
        let isLeft = away.decide(at: at(3.1))
        #expect(isLeft && away.server == .primary && away.reason == .replicaIsAway)
        #expect(away.delay(at: at(3.1)) == nil)
        var silent = near()
        silent.primary(at: 100, asked: at(5), now: at(5))
        let isLeftEarly = silent.decide(at: at(5))
        #expect(!isLeftEarly)
        let isLeftAtLast = silent.decide(at: at(5.1))
        #expect(isLeftAtLast && silent.reason == .replicaIsAway)
    }

    /// No other server can answer. The replica's data is better than no answer, and its age is reported.
    @Test func withoutThePrimaryTheReplicaAnswersWhateverItsDelay() {
        var choice = near()
        choice.isAway(.primary)
        choice.replica(at: 100, now: at(60))
        let hasChanged = choice.decide(at: at(60))
        #expect(!hasChanged && choice.server == .replica && choice.reason == .primaryIsAway)
        #expect(choice.delay(at: at(60)) == .seconds(57))
        // This also applies to a replica that was not available before.
        choice.isAway(.replica)
        let isGivenUp = choice.decide(at: at(61))
        #expect(isGivenUp && choice.server == .primary)
        choice.replica(at: 100, now: at(62))
        let isTakenAgain = choice.decide(at: at(62))
        #expect(isTakenAgain && choice.server == .replica)
    }
}

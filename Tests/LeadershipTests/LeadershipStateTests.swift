import StreamCore
import Testing

@testable import Leadership

@Suite struct LeadershipStateTests {
    private let standby = LeadershipMode.standby(interval: .seconds(2))

    /// Passes events to a state machine and returns its actions.
    private func actions(_ mode: LeadershipMode, _ events: [LeadershipState.Event]) -> [LeadershipState.Action] {
        var state = LeadershipState(mode)
        return events.map { state.handle($0) }
    }

    @Test func aFreeLockIsTakenAndLedUntilToldToStop() {
        for mode in [.ifFree, standby] {
            #expect(
                actions(mode, [.begun, .connected, .lockTaken, .stopped]) == [.connect, .tryLock, .lead, .finish])
        }
    }

    @Test func whoWaitsForAHandOverStandsInTheQueue() {
        #expect(
            actions(.whenHandedOver, [.begun, .connected, .lockTaken, .workEnded])
                == [.connect, .waitForLock, .lead, .finish])
    }

    @Test func onlyAStandbyTriesAgainWhenTheLockIsTaken() {
        #expect(actions(.ifFree, [.begun, .connected, .lockRefused(jitter: 1)]).last == .finish)
        #expect(actions(.whenHandedOver, [.begun, .connected, .lockRefused(jitter: 1)]).last == .finish)
        #expect(
            actions(
                standby,
                [.begun, .connected, .lockRefused(jitter: 0.75), .waited, .lockRefused(jitter: 1.25), .waited])
                == [
                    .connect, .tryLock, .standBy(.milliseconds(1_500)), .tryLock, .standBy(.milliseconds(2_500)),
                    .tryLock,
                ])
    }

    @Test func refusalsAreCountedAnewAfterLeadingAndAfterAFailure() {
        var state = LeadershipState(standby)
        for event: LeadershipState.Event in [.begun, .connected, .lockRefused(jitter: 1), .waited] {
            _ = state.handle(event)
        }
        _ = state.handle(.lockRefused(jitter: 1))
        #expect(state.refusals == 2)
        _ = state.handle(.lockTaken)
        #expect(state.refusals == 0)
        _ = state.handle(.lockRefused(jitter: 1))
        _ = state.handle(.failed(isPermanent: false, led: .zero))
        #expect(state.refusals == 0)
    }

    @Test func onlyAStandbyWaitsAndBeginsAnewAfterAFailure() throws {
        let failure = LeadershipState.Event.failed(isPermanent: false, led: .zero)
        for mode in [LeadershipMode.ifFree, .whenHandedOver] {
            #expect(actions(mode, [.begun, failure]) == [.connect, .giveUp])
        }
        let standing = actions(standby, [.begun, failure, .begun])
        #expect(standing.first == .connect && standing.last == .connect)
        guard case .pause = standing[1] else { throw Unexpected(action: standing[1]) }
    }

    @Test func aPermanentFailureIsTheCallers() {
        for mode in [standby, .ifFree, .whenHandedOver] {
            #expect(
                actions(mode, [.begun, .connected, .lockTaken, .failed(isPermanent: true, led: .seconds(3_600))]).last
                    == .giveUp)
        }
    }

    @Test func pausesGrowUntilTheDatabaseAnswersOrTheWorkHasGoneOnForLong() throws {
        var state = LeadershipState(standby)
        func fail(led: Duration = .zero) throws -> Duration {
            let action = state.handle(.failed(isPermanent: false, led: led))
            guard case .pause(let time) = action else { throw Unexpected(action: action) }
            return time
        }
        for _ in 0..<20 { _ = try fail() }
        #expect(try fail() > .seconds(2))
        #expect(try fail() <= .seconds(5))
        #expect(try fail(led: LeadershipState.steady - .seconds(1)) > .seconds(2))
        #expect(try fail(led: LeadershipState.steady) <= .milliseconds(100))
        for _ in 0..<20 { _ = try fail() }
        _ = state.handle(.lockRefused(jitter: 1))
        #expect(try fail() <= .milliseconds(100))
    }

    @Test(arguments: [LeadershipState.Event.stopped, .workEnded])
    func theEndHandsTheLockOver(event: LeadershipState.Event) {
        for mode in [standby, .ifFree, .whenHandedOver] {
            #expect(actions(mode, [.begun, .connected, .lockTaken, event]).last == .finish)
        }
    }

    private struct Unexpected: Error {
        let action: LeadershipState.Action
    }
}

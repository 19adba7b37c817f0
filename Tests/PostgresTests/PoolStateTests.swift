import Testing

@testable import Postgres

@Suite struct PoolStateTests {
    private typealias State = PoolState<Int>
    private let start = ContinuousClock.now

    private func state(max: Int, lifetime: Duration? = nil, idle: Duration? = nil) -> State {
        State(limits: .init(maxConnections: max, maxLifetime: lifetime, maxIdle: idle))
    }

    private func member(_ connection: Int) -> State.Member {
        State.Member(connection: connection, createdAt: start)
    }

    private func used(_ grant: State.Grant?) -> Int? {
        if case .use(let member) = grant { member.connection } else { nil }
    }

    private func connects(_ grant: State.Grant?) -> Bool {
        if case .connect = grant { true } else { false }
    }

    @Test func makesConnectionsUpToTheLimitThenLetsWaitInOrder() {
        var state = state(max: 2)
        for _ in 0..<2 {
            let grant = state.acquire(now: start).grant
            #expect(connects(grant))
        }
        for waiter in [1, 2, 3] as [UInt64] {
            let grant = state.acquire(now: start).grant
            #expect(grant == nil)
            state.wait(waiter)
        }
        let first = state.release(member(7), now: start)
        #expect(first.grant?.waiter == 1 && used(first.grant?.grant) == 7)
        let (left, leftAgain) = (state.leave(2), state.leave(2))
        #expect(left && !leftAgain)
        let second = state.discard(closing: 8)
        #expect(second.grant?.waiter == 3 && connects(second.grant?.grant) && second.close == [8])
        #expect(state.leased == 2 && state.waiting == 0)
    }

    @Test func usesTheConnectionThatWasUsedLast() {
        var state = state(max: 3)
        for _ in 0..<3 { _ = state.acquire(now: start) }
        _ = state.release(member(1), now: start)
        _ = state.release(member(2), now: start)
        let grants = (0..<3).map { _ in state.acquire(now: start).grant }
        #expect(grants.map(used) == [2, 1, nil])
    }

    @Test func aFailedAttemptToConnectPassesItsRoomOn() {
        var state = state(max: 1)
        _ = state.acquire(now: start)
        state.wait(5)
        let outcome = state.discard()
        #expect(outcome.grant?.waiter == 5 && connects(outcome.grant?.grant))
        let last = state.discard()
        #expect(last.grant == nil && state.leased == 0)
    }

    @Test func replacesWhatIsTooOldOrIdlesTooLong() {
        var state = state(max: 2, lifetime: .seconds(100), idle: .seconds(10))
        _ = state.acquire(now: start)
        _ = state.acquire(now: start)
        _ = state.release(member(1), now: start)
        let tooOld = state.release(member(2), now: start + .seconds(100))
        #expect(tooOld.close == [2])
        let (grant, close) = state.acquire(now: start + .seconds(11))
        #expect(connects(grant) && close == [1])
        #expect(state.leased == 1 && state.idleCount == 0)
    }

    @Test func aClosedPoolHandsNothingOutAndClosesWhatComesBack() {
        var state = state(max: 2)
        _ = state.acquire(now: start)
        _ = state.acquire(now: start)
        _ = state.release(member(1), now: start)
        let leftovers = state.close()
        #expect(leftovers.connections == [1] && leftovers.waiters.isEmpty)
        if case .closed = state.acquire(now: start).grant {} else { Issue.record("a closed pool granted something") }
        let late = state.release(member(2), now: start)
        #expect(late.close == [2])
        #expect(state.leased == 0)
    }

    @Test func closingTellsThoseWhoWait() {
        var state = state(max: 1)
        _ = state.acquire(now: start)
        state.wait(9)
        let leftovers = state.close()
        let late = state.release(member(1), now: start)
        #expect(leftovers.waiters == [9] && late.grant == nil)
    }
}

import Operations
import Synchronization
import Testing

@Suite struct ProgressWatchTests {
    private var watch = ProgressWatch(limit: .seconds(60), now: .seconds(100))

    @Test mutating func idlenessIsHealthyForEver() {
        #expect(watch.stalled(now: .seconds(1_000_000)) == nil)
        watch.turned(to: .working, now: .seconds(200))
        watch.turned(to: .idle, now: .seconds(210))
        #expect(watch.stalled(now: .seconds(1_000_000)) == nil)
    }

    @Test mutating func workThatStandsStillIsAStall() {
        watch.turned(to: .working, now: .seconds(200))
        #expect(watch.stalled(now: .seconds(260)) == nil, "the limit itself is allowed")
        #expect(watch.stalled(now: .seconds(261)) == .seconds(61))
    }

    @Test mutating func beingBehindIsHealthyAsLongAsItMoves() {
        watch.turned(to: .working, now: .seconds(200))
        for time in stride(from: 250, through: 5_000, by: 50) {
            watch.progressed(now: .seconds(time))
            #expect(watch.stalled(now: .seconds(time + 50)) == nil)
        }
        #expect(watch.stalled(now: .seconds(5_100)) == .seconds(100))
    }

    @Test mutating func sayingAgainThatThereIsWorkIsNoProgress() {
        for time in stride(from: 200, through: 300, by: 10) { watch.turned(to: .working, now: .seconds(time)) }
        #expect(watch.stalled(now: .seconds(300)) == .seconds(100))
    }

    @Test mutating func anOutageIsNoStallAndStartsTheTimeAnew() {
        watch.turned(to: .working, now: .seconds(200))
        watch.turned(to: .heldUp, now: .seconds(250))
        #expect(watch.stalled(now: .seconds(9_000)) == nil)
        watch.turned(to: .working, now: .seconds(9_000))
        #expect(watch.stalled(now: .seconds(9_060)) == nil)
        #expect(watch.stalled(now: .seconds(9_061)) == .seconds(61))
    }
}

@Suite struct HealthRegistryTests {
    /// A clock that changes only when a test advances it.
    private final class Clock: Sendable {
        let time = Mutex(Duration.zero)
        func advance(_ seconds: Int) { time.withLock { $0 += .seconds(seconds) } }
    }

    private let clock = Clock()
    private let health: HealthRegistry

    init() {
        health = HealthRegistry { [clock] in clock.time.withLock { $0 } }
    }

    @Test func oneStalledLoopIsEnough() {
        let first = health.watch(.loop, "orders[0]", limit: .seconds(10))
        let second = health.watch(.loop, "orders[1]", limit: .seconds(10))
        first.turned(to: .working)
        second.turned(to: .working)
        clock.advance(8)
        first.progressed()
        clock.advance(8)
        #expect(!health.live().isGood)
        #expect(health.live().problems == ["orders[1]: no progress for 16 s"])
        second.end()
        #expect(health.live().isGood, "a partition that was revoked cannot stall")
        second.progressed()
        #expect(health.live().isGood, "a late report does not add it again")
    }

    /// The partition may wait for a database, and a restart would not help.
    @Test func aStalledPartitionIsNotReadyButLive() {
        let partition = health.watch(.partition, "orders[0]", limit: .seconds(10))
        partition.turned(to: .working)
        clock.advance(11)
        #expect(health.live().isGood)
        #expect(health.ready().problems == ["orders[0]: no progress for 11 s"])
        partition.progressed()
        #expect(health.ready().isGood)
    }

    @Test func readyWhenEveryConditionHolds() {
        #expect(health.ready().isGood)
        health.notReady("database", because: "connection refused")
        health.notReady("broker", because: "not yet asked")
        #expect(health.ready().problems == ["broker: not yet asked", "database: connection refused"])
        health.ready("database")
        #expect(!health.ready().isGood)
        health.ready("broker")
        #expect(health.ready().isGood)
        #expect(health.live().isGood, "a missing condition does not affect liveness")
    }

    /// The report contains all checks, not only the failing ones.
    @Test func everyCheckIsInTheReport() {
        let loop = health.watch(.loop, "reader", limit: .seconds(10))
        loop.turned(to: .working)
        health.ready("database")
        health.notReady("orders[1]", because: "stopped")
        _ = health.beginWork().watch(.partition, "orders[0]", limit: .seconds(10))
        #expect(health.live().checks == [.init(name: "reader", kind: .loop, reason: nil)])
        #expect(
            health.ready().checks == [
                .init(name: "database", kind: .condition, reason: nil),
                .init(name: "orders[1]", kind: .condition, reason: "stopped"),
                .init(name: "orders[0]", kind: .partition, reason: nil),
            ])
        health.forget("orders[1]")
        #expect(health.ready().checks.map(\.name) == ["database", "orders[0]"])
    }

    @Test func onceBegunItStaysSo() {
        #expect(health.startup().problems == ["start: has not tried to reach its database yet"])
        health.begun()
        health.notReady("database", because: "connection refused")
        #expect(health.startup().isGood)
    }
}

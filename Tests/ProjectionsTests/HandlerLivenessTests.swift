import Postgres
import StreamCore
import Synchronization
import TestKit
import Testing

@testable import Projections

/// Liveness depends on the turns of the loop. A restart helps if code hangs, but not if the database is away.
@Suite struct HandlerLivenessTests {
    /// The runner reports the positions of partitions once a second, whether the loop turns or not.
    private func expectStill(_ observer: Observer) async throws {
        let before = observer.now
        try await eventually { observer.now.standings > before.standings + 16 }
        // One turn may have been running already.
        #expect(observer.now.turns <= before.turns + 1)
    }

    private func expectTurning(_ observer: Observer) async throws {
        let turns = observer.now.turns
        try await eventually { observer.now.turns > turns + 4 }
    }

    @Test func codeThatAppliesAndStandsStillEndsTheTurns() async throws {
        try await Ledger.with { ledger in
            let latch = Latch()
            let observer = Observer()
            let projection = ledger.projection { $0.beforeApply = { _, _ in await latch.wait() } }
            try await running(ledger.runner(projection, observer: observer)) {
                try await expectTurning(observer)
                try await ledger.produce(count: 10, keys: 2)
                try await eventually { latch.isWaiting }
                try await expectStill(observer)
                latch.open()
                try await ledger.caughtUp()
                try await expectTurning(observer)
            }
            try await ledger.expectExact()
        }
    }

    /// Code that hangs in a decoder would block a thread, which a test must not do.
    @Test func codeStandsStillWhileItIsInsideOneCall() {
        let place = HandlerPlace()
        #expect(place.point == nil)
        place.enter()
        let first = place.point
        #expect(first != nil && place.point == first)
        place.leave()
        #expect(place.point == nil)
        place.enter()
        #expect(place.point != nil && place.point != first, "another call")
    }

    @Test func codeThatWaitsForTheDatabaseLetsTheLoopTurn() async throws {
        try await Ledger.with { ledger in
            let observer = Observer()
            let isAsking = Flag()
            let projection = ledger.projection {
                $0.beforeApply = { _, transaction in
                    isAsking.set()
                    try await transaction.execute("SELECT count(*) FROM ledger")
                }
            }
            try await ledger.withConnection { holder in
                try await holder.execute(script: "BEGIN; LOCK TABLE ledger IN ACCESS EXCLUSIVE MODE")
                try await running(ledger.runner(projection, observer: observer)) {
                    try await ledger.produce(count: 10, keys: 2)
                    try await eventually { isAsking.isSet }
                    try await expectTurning(observer)
                    try await holder.execute(script: "COMMIT")
                    try await ledger.caughtUp()
                }
            }
            try await ledger.expectExact()
        }
    }

    private final class Flag: Sendable {
        private let flag = Atomic(false)

        var isSet: Bool { flag.load(ordering: .acquiring) }
        func set() { flag.store(true, ordering: .releasing) }
    }
}

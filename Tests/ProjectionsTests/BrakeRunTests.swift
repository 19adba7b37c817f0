import Kafka
import Logging
import Postgres
import StreamCore
import TestKit
import Testing

@testable import Projections

/// A release that fails every event makes few letters, and goes on by itself when it works again.
@Suite struct BrakeRunTests {
    private func projection(_ ledger: Ledger, failingWhile failing: Switch) -> LedgerProjection {
        ledger.projection {
            $0.beforeApply = { _, _ in
                if failing.isOn { throw EventFailure("bad_release", "everything fails") }
            }
        }
    }

    /// One event of each key, then the next of each: what is behind the very first failure, of the same key, would be
    /// parked and not count.
    private func produce(rounds: Int, keys: Int, _ ledger: Ledger) async throws {
        for _ in 0..<rounds { try await ledger.produce(count: keys, keys: keys) }
    }

    @Test func itHoldsAndReleasesByItself() async throws {
        try await ParkingScene.with { scene in
            let ledger = scene.ledger
            let failing = Switch(true)
            let log = RecordedLog()
            try await produce(rounds: 3, keys: 200, ledger)
            try await running(scene.runner(projection(ledger, failingWhile: failing), log: log)) {
                try await scene.awaitLetters("brake-opened", 1)
                try await eventually { log.lines("stays open").count >= 3 }
                let letters = try await scene.letters()
                #expect(letters.filter { $0.reason == "failed" || $0.reason == "blocked" }.count == 50)
                #expect(letters.count < 100)
                #expect(try await scene.failuresInARow() == 50)
                failing.isOn = false
                try await ledger.caughtUp()
                try await scene.awaitLetters("brake-released", 1)
                try await scene.retryUntilResolved()
            }
            try await ledger.expectExact()
            #expect(log.lines("the brake is open").map(\.level) == [.critical])
            #expect(log.lines("the brake is released").count == 1)
            #expect(try await scene.failuresInARow() == 0)
        }
    }

    /// Soon each event is behind another one of its key.
    @Test(arguments: [3, 12, 40], [true, false])
    func itHoldsWithFewKeysToo(_ keys: Int, isNamed: Bool) async throws {
        try await ParkingScene.with { scene in
            let ledger = scene.ledger
            let failing = Switch(true)
            let projection = ledger.projection {
                $0.beforeApply = { events, _ in
                    let id = isNamed ? events[0].id : nil
                    if failing.isOn { throw EventFailure("bad_release", "everything fails", eventID: id) }
                }
            }
            let log = RecordedLog()
            try await ledger.produce(count: 800, keys: keys)
            try await running(scene.runner(projection, log: log)) {
                try await eventually { log.lines("stays open").count >= 2 }
                #expect(try await scene.letters().count < 100)
                failing.isOn = false
                try await ledger.caughtUp()
                try await scene.retryUntilResolved()
            }
            try await ledger.expectExact()
        }
    }

    @Test func itStaysOpenOverARestart() async throws {
        try await ParkingScene.with { scene in
            let ledger = scene.ledger
            let failing = Switch(true)
            try await produce(rounds: 2, keys: 150, ledger)
            for _ in 0..<2 {
                let log = RecordedLog()
                try await running(scene.runner(projection(ledger, failingWhile: failing), log: log)) {
                    try await eventually { log.lines("stays open").count >= 2 }
                }
            }
            let parked = try await scene.parked()
            #expect(parked == 50)
            #expect(try await scene.letters("brake-opened").count == 1)
            failing.isOn = false
            try await running(scene.runner(projection(ledger, failingWhile: failing))) {
                try await ledger.caughtUp()
                try await scene.retryUntilResolved()
            }
            try await ledger.expectExact()
        }
    }

    @Test func aReleaseThatCannotDecodeIsHeldUntilOneCan() async throws {
        try await ParkingScene.with { scene in
            let ledger = scene.ledger
            let log = RecordedLog()
            try await ledger.produce(count: 400, keys: 200)
            let broken = ledger.projection { $0.isUndecodable = { _ in true } }
            try await running(scene.runner(broken, log: log)) {
                try await scene.awaitLetters("brake-opened", 1)
                let applied = try await ledger.status()?.nextOffsets
                try await ledger.produce(count: 200, keys: 200)
                #expect(try await ledger.status()?.nextOffsets == applied)
            }
            #expect(try await scene.letters("failed").count == 50)
            try await running(scene.runner()) {
                try await ledger.caughtUp()
                try await scene.retryUntilResolved()
            }
            try await ledger.expectExact()
        }
    }

    @Test func failuresThatAreFewAmongGoodOnesNeverOpenIt() async throws {
        try await ParkingScene.with({ $0.brakeAfter = 3 }, partitions: 1) { scene in
            let ledger = scene.ledger
            let broken = ledger.projection { $0.isUndecodable = { $0.key.hasPrefix("bad") } }
            for round in 0..<40 {
                for key in ["good\(round)", "bad\(round)"] { try await ledger.produce([ledger.next(key)]) }
            }
            try await running(scene.runner(broken)) {
                try await ledger.caughtUp()
                #expect(try await scene.letters("failed").count == 40)
                #expect(try await scene.letters("brake-opened").isEmpty)
            }
        }
    }
}

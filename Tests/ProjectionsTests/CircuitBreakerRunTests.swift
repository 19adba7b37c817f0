import Kafka
import Logging
import Postgres
import StreamCore
import TestKit
import Testing

@testable import Projections

/// A release that fails every event writes only a few letters. The projection continues by itself when the release
/// works again.
@Suite struct CircuitBreakerRunTests {
    private func projection(_ ledger: Ledger, failingWhile failing: Switch) -> LedgerProjection {
        ledger.projection {
            $0.beforeApply = { _, _ in
                if failing.isOn { throw EventFailure("bad_release", "everything fails") }
            }
        }
    }

    /// Events whose keys begin with `x` have another type. They fail while the switch is on.
    private func twoTypes(_ ledger: Ledger, failingWhile failing: Switch) -> LedgerProjection {
        ledger.projection {
            $0.eventType = { $0.key.hasPrefix("x") ? "Broken" : "Entered" }
            $0.beforeApply = { events, _ in
                guard failing.isOn, let bad = events.first(where: { $0.key.hasPrefix("x") }) else { return }
                throw EventFailure("bad_release", "this type fails", eventID: bad.id)
            }
        }
    }

    /// Produces one event of each key, then the next event of each key, and so on. An event directly after the first
    /// failure of the same key would be parked without being counted.
    private func produce(rounds: Int, keys: Int, _ ledger: Ledger) async throws {
        for _ in 0..<rounds { try await ledger.produce(count: keys, keys: keys) }
    }

    /// Number of failed and blocked letters of each partition.
    private func parkedByPartition(_ scene: ParkingScene) async throws -> [String: Int] {
        let letters = try await scene.letters().filter { $0.reason == "failed" || $0.reason == "blocked" }
        return Dictionary(grouping: letters) { $0["__dlq.errors.partition"] ?? "" }.mapValues(\.count)
    }

    @Test func itHoldsAndClosesByItself() async throws {
        try await ParkingScene.with(partitions: 1) { scene in
            let ledger = scene.ledger
            let failing = Switch(true)
            let log = RecordedLog()
            let observer = Observer()
            try await produce(rounds: 3, keys: 200, ledger)
            try await running(scene.runner(projection(ledger, failingWhile: failing), observer: observer, log: log)) {
                try await scene.awaitLetters("circuit-breaker-opened", 1)
                try await eventually { log.lines("stays open").count >= 3 }
                #expect(try await parkedByPartition(scene) == ["0": 50])
                #expect(try await scene.openBreakers() == 1)
                #expect(observer.now.held.values.map { $0 } == [[.circuitBreaker]])
                failing.isOn = false
                try await ledger.caughtUp()
                try await scene.awaitLetters("circuit-breaker-closed", 1)
                try await scene.retryUntilResolved()
            }
            try await ledger.expectExact()
            #expect(log.lines("circuit breaker open").map(\.level) == [.critical])
            #expect(log.lines("circuit breaker closed").count == 1)
            #expect(try await scene.openBreakers() == 0)
            #expect(observer.now.held.values.allSatisfy { $0.isEmpty })
        }
    }

    /// With few keys, soon every event follows a failed event of its key.
    @Test(arguments: [3, 12, 40], [true, false])
    func itHoldsWithFewKeysToo(_ keys: Int, isNamed: Bool) async throws {
        try await ParkingScene.with(partitions: 1) { scene in
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
        try await ParkingScene.with(partitions: 1) { scene in
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
            #expect(try await scene.letters("circuit-breaker-opened").count == 1)
            failing.isOn = false
            try await running(scene.runner(projection(ledger, failingWhile: failing))) {
                try await ledger.caughtUp()
                try await scene.retryUntilResolved()
            }
            try await ledger.expectExact()
        }
    }

    /// The partitions move to a second instance and back while their circuit breakers are open.
    @Test func itStaysOpenOverARebalance() async throws {
        try await ParkingScene.with({ $0.breakerAfter = 5 }, partitions: 2) { scene in
            let ledger = scene.ledger
            let failing = Switch(true)
            let log = RecordedLog()
            try await produce(rounds: 1, keys: 200, ledger)
            try await running(scene.runner(projection(ledger, failingWhile: failing))) {
                try await eventually { try await scene.openBreakers() == 2 }
                try await running(scene.runner(projection(ledger, failingWhile: failing), log: log)) {
                    try await eventually { log.lines("stays open").count >= 2 }
                }
                #expect(try await scene.parked() == 10)
                failing.isOn = false
                try await ledger.caughtUp()
                try await scene.retryUntilResolved()
            }
            try await ledger.expectExact()
        }
    }

    @Test func aReleaseThatCannotDecodeIsHeldUntilOneCan() async throws {
        try await ParkingScene.with(
            {
                $0.probeInitialMs = 600_000
                $0.probeCeilingMs = 600_000
            }, partitions: 1
        ) { scene in
            let ledger = scene.ledger
            let log = RecordedLog()
            try await ledger.produce(count: 400, keys: 200)
            let broken = ledger.projection { $0.isUndecodable = { _ in true } }
            try await running(scene.runner(broken, log: log)) {
                try await scene.awaitLetters("circuit-breaker-opened", 1)
                try await eventually { try await scene.openBreakers() == 1 }
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

    /// More consecutive records than the queue holds cannot be decoded, so a trial finds no event to try. With the
    /// circuit breaker, each trial passes one record. With the circuit breaker off, all pass at once. The projection
    /// then applies the records after them.
    @Test(arguments: [0, 3]) func aLongRunThatCannotBeDecodedEnds(_ breakerAfter: Int) async throws {
        try await ParkingScene.with(
            {
                $0.breakerAfter = breakerAfter
                $0.probeInitialMs = 1
                $0.probeCeilingMs = 2
            }, partitions: 1
        ) { scene in
            let ledger = scene.ledger
            let broken = ledger.projection { $0.isUndecodable = { $0.key.hasPrefix("bad") } }
            for number in 0..<30 { try await ledger.produce([ledger.next("bad\(number)")]) }
            for number in 0..<30 { try await ledger.produce([ledger.next("good\(number % 3)")]) }
            try await running(scene.runner(broken) { $0.batchMaxRecords = 5 }) {
                try await ledger.caughtUp()
                #expect(try await scene.letters("failed").count == 30)
                // Near the end, a good event in the same batch closes the circuit breaker, and the last bad records may
                // open it again.
                #expect(try await scene.letters("circuit-breaker-opened").isEmpty == (breakerAfter == 0))
                #expect(try await scene.openBreakers() == 0)
                #expect(try await ledger.rows().filter { $0.key.hasPrefix("good") }.count == 3)
            }
        }
    }

    @Test func oneOpenHoldsNoOtherPartition() async throws {
        try await ParkingScene.with({ $0.breakerAfter = 3 }) { scene in
            let ledger = scene.ledger
            // Records without an event show to which partition each key belongs.
            var keys: [TopicPartition: [String]] = [:]
            for number in 0..<60 {
                keys[try await ledger.produce(key: "k\(number)", []), default: []].append("k\(number)")
            }
            let (held, bad) = try #require(keys.sorted { $0.key < $1.key }.first { $0.value.count > 5 })
            let failing = Switch(true)
            let projection = ledger.projection {
                $0.beforeApply = { events, _ in
                    guard failing.isOn, let event = events.first(where: { bad.contains($0.key) }) else { return }
                    throw EventFailure("bad_release", "this partition fails", eventID: event.id)
                }
            }
            let observer = Observer()
            try await running(scene.runner(projection, observer: observer)) {
                try await ledger.produce(count: 60, keys: 60)
                try await eventually { observer.now.everHeld == [held] }
                for _ in 0..<10 {
                    try await ledger.produce(count: 300, keys: 60)
                    try await eventually { ledger.remaining(try await ledger.status()).keys.allSatisfy { $0 == held } }
                }
                #expect(try await scene.openBreakers() == 1)
                #expect(observer.now.everHeld == [held])
                #expect(try await parkedByPartition(scene) == ["\(held.partition)": 3])
                failing.isOn = false
                try await ledger.caughtUp()
                try await scene.retryUntilResolved()
            }
            try await ledger.expectExact()
        }
    }

    /// Every event of one type fails. The events of another type between them are applied.
    @Test func aBadReleaseParksNoMoreThanTheLimitOfEachPartition() async throws {
        try await ParkingScene.with({ $0.breakerAfter = 5 }, partitions: 2) { scene in
            let ledger = scene.ledger
            let failing = Switch(true)
            let log = RecordedLog()
            for round in 0..<100 {
                try await ledger.produce([ledger.next("x\(round)"), ledger.next("y\(round)"), ledger.next("y\(round)")])
            }
            try await running(
                scene.runner(twoTypes(ledger, failingWhile: failing), log: log) { $0.batchMaxRecords = 7 }
            ) {
                try await eventually { try await scene.openBreakers() == 2 }
                try await eventually { log.lines("stays open").count >= 6 }
                #expect(try await parkedByPartition(scene) == ["0": 5, "1": 5])
                failing.isOn = false
                try await ledger.caughtUp()
                try await scene.retryUntilResolved()
            }
            try await ledger.expectExact()
            #expect(try await scene.openBreakers() == 0)
        }
    }

    @Test func anOperatorsReleaseTakesEffectAtTheNextTrial() async throws {
        try await ParkingScene.with({ $0.breakerAfter = 5 }, partitions: 1) { scene in
            let ledger = scene.ledger
            let log = RecordedLog()
            for number in 0..<12 { try await ledger.produce([ledger.next("x\(number)")]) }
            let projection = twoTypes(ledger, failingWhile: Switch(true))
            try await running(scene.runner(projection, log: log)) {
                for round in 1...2 {
                    try await eventually { try await scene.openBreakers() == 1 }
                    let tried = log.lines("stays open").count
                    try await eventually { log.lines("stays open").count > tried }
                    #expect(try await scene.parked() == Int64(5 * round))
                    let released = try await ledger.withConnection { connection in
                        let breakers = OpenCircuitBreakers()
                        var filter = OpenCircuitBreakers.Filter()
                        filter.projection = ledger.name
                        filter.partition = 0
                        let open = try await breakers.list(filter, on: connection)
                        #expect(open.map(\.eventType) == ["", "Broken"])
                        #expect(open.map(\.failures) == [5, 5])
                        filter.projection = "another"
                        #expect(try await breakers.list(filter, on: connection).isEmpty)
                        filter.projection = ledger.name
                        let audit = Audit(actor: "mara", reason: "the events are bad")
                        #expect(try await breakers.release(filter, by: audit, on: connection) == open)
                        return open.count
                    }
                    #expect(released == 2)
                    try await eventually { try await scene.parked() > Int64(5 * round) }
                }
                // Not before, because a trial would find that it can be applied.
                try await ledger.produce([ledger.next("y")])
                try await ledger.caughtUp()
                #expect(try await scene.parked() == 12)
                #expect(try await ledger.rows().keys.sorted() == ["y"])
            }
            #expect(log.lines("circuit breaker closed by an operator").count == 2)
            let why = try await ledger.withConnection { connection in
                let result = try await connection.execute(
                    "SELECT released_by || ': ' || reason FROM circuit_breaker_releases")
                return try (0..<result.rowCount).map { try result.string($0, 0) }
            }
            #expect(why == Array(repeating: "mara: the events are bad", count: 4))
        }
    }

    @Test func failuresThatAreFewAmongGoodOnesNeverOpenIt() async throws {
        try await ParkingScene.with({ $0.breakerAfter = 3 }, partitions: 1) { scene in
            let ledger = scene.ledger
            let broken = ledger.projection { $0.isUndecodable = { $0.key.hasPrefix("bad") } }
            for round in 0..<40 {
                for key in ["good\(round)", "bad\(round)"] { try await ledger.produce([ledger.next(key)]) }
            }
            try await running(scene.runner(broken)) {
                try await ledger.caughtUp()
                #expect(try await scene.letters("failed").count == 40)
                #expect(try await scene.letters("circuit-breaker-opened").isEmpty)
            }
        }
    }

    /// The header names the type of a record that cannot be decoded. Events of another type that are applied do not
    /// reset its count.
    @Test func theHeaderTellsTheTypeOfWhatCannotBeDecoded() async throws {
        try await ParkingScene.with(
            {
                $0.breakerAfter = 4
                $0.probeInitialMs = 600_000
                $0.probeCeilingMs = 600_000
            }, partitions: 1
        ) { scene in
            let ledger = scene.ledger
            let broken = ledger.projection { $0.isUndecodable = { $0.key.hasPrefix("bad") } }
            for round in 0..<20 {
                let header = RecordHeader(name: "event-type", value: Array("Broken".utf8))
                let bad = LedgerEvent(key: "bad\(round)", sequence: 1)
                try await scene.produce(key: Array(bad.key.utf8), bad.wire, headers: [header])
                try await ledger.produce([ledger.next("good\(round)")])
            }
            try await running(scene.runner(broken)) {
                try await scene.awaitLetters("circuit-breaker-opened", 1)
                try await eventually { try await scene.openBreakers() == 1 }
                #expect(try await scene.parked() == 4)
                #expect(try await ledger.rows().count == 3)
            }
        }
    }
}

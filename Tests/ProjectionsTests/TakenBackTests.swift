import EmbeddedPostgres
import Kafka
import Logging
import Postgres
import StreamCore
import TestKit
import Testing

@testable import Projections

/// The database loses what it has committed: it fails over to an asynchronous replica, or an older backup is restored.
/// Whatever it lost, with the effect and the offset of each event, is applied again by the same process.
@Suite struct TakenBackTests {
    private static let text = "the database has lost committed transactions"

    /// The test fails if the events wait for the next record: there is none.
    @Test(arguments: [false, true]) func anIdleRunnerAppliesTheLostEventsAgain(onlyQueues: Bool) async throws {
        try await Ledger.withPrivateServer { ledger, server in
            let log = RecordedLog()
            let observer = Observer()
            let projection = ledger.projection { $0.onlyQueues = onlyQueues }
            try await ledger.produce(count: 100, keys: 10)
            try await running(ledger.runner(projection, observer: observer, log: log)) {
                try await ledger.caughtUp()
                let snapshot = try await ServerSnapshot.take(of: server)
                try await ledger.produce(count: 60, keys: 10)
                try await ledger.caughtUp()
                #expect(log.lines(Self.text).isEmpty, "a restart without loss takes nothing back")
                try await snapshot.restore(to: server)
                try await ledger.caughtUp()
                try await ledger.expectExact()
                try await eventually { observer.now.databaseProblem == nil }
                let lines = log.lines(Self.text)
                #expect(lines.count == 1 && lines.first?.level == .warning)
                #expect(lines.first?.metadata["records"] == "60")
                try await ledger.produce(count: 60, keys: 10)
                try await ledger.caughtUp()
            }
            try await ledger.expectExact()
            #expect(log.lines("another process moved the offsets").isEmpty)
        }
    }

    /// A crash undoes transactions of a reproducible projection that were not on the disk yet.
    @Test func aCrashTakesBackWhatWasNotOnTheDisk() async throws {
        try await Ledger.withPrivateServer { ledger, server in
            let log = RecordedLog()
            try await ledger.withConnection { connection in
                try await connection.execute(.unprepared("ALTER SYSTEM SET wal_writer_delay = '10s'"))
                try await connection.execute(.unprepared("SELECT pg_reload_conf()"))
            }
            let projection = ledger.projection { $0.isReproducible = true }
            try await running(ledger.runner(projection, log: log)) {
                // The server may have written all of it just before the crash.
                for _ in 0..<5 where log.lines(Self.text).isEmpty {
                    try await ledger.produce(count: 60, keys: 10)
                    try await ledger.caughtUp()
                    try await server.restart(.immediate)
                    try await ledger.caughtUp()
                    try await ledger.expectExact()
                }
            }
            #expect(!log.lines(Self.text).isEmpty)
        }
    }

    @Test func aBusyRunnerAppliesTheLostEventsAgain() async throws {
        try await Ledger.withPrivateServer { ledger, server in
            let log = RecordedLog()
            try await ledger.produce(count: 100, keys: 10)
            try await running(ledger.runner(log: log)) {
                try await ledger.caughtUp()
                for _ in 0..<3 {
                    let snapshot = try await ServerSnapshot.take(of: server)
                    try await ledger.produce(count: 100, keys: 10)
                    try await ledger.caughtUp()
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        group.addTask { for _ in 0..<20 { try await ledger.produce(count: 40, keys: 10) } }
                        group.addTask { try await snapshot.restore(to: server) }
                        try await group.waitForAll()
                    }
                    try await ledger.caughtUp()
                }
            }
            try await ledger.expectExact()
            #expect(log.lines(Self.text).count == 3)
            #expect(log.lines("another process moved the offsets").isEmpty)
        }
    }

    /// A partition that stopped before a bad event is read again up to it.
    @Test func aStoppedPartitionAppliesTheLostEventsAgain() async throws {
        try await Ledger.withPrivateServer { ledger, server in
            let observer = Observer()
            let projection = ledger.projection { $0.undecodable = ("k0", 6) }
            try await ledger.produce(count: 10, keys: 5)
            try await running(ledger.runner(projection, observer: observer)) {
                try await ledger.caughtUp()
                let snapshot = try await ServerSnapshot.take(of: server)
                try await ledger.produce((0..<3).map { _ in ledger.next("k0") })
                try await ledger.caughtUp()
                try await ledger.produce([ledger.next("k0")])
                try await eventually { observer.now.stopped.count == 1 }
                try await snapshot.restore(to: server)
                try await eventually { observer.now.stopped.count == 2 }
                let stopped = observer.now.stopped
                #expect(stopped[0] == stopped[1])
                #expect(
                    try await ledger.rows()["k0"]
                        == Ledger.Row(
                            sum: ledger.expectedRows()["k0"].map { $0.sum - 1 } ?? 0, count: 5, lastSequence: 5))
                #expect(observer.now.released == [stopped[0].partition])
            }
        }
    }

    /// What was parked and what was resolved is lost in the same way, and comes back in the same way.
    @Test func parkedEventsAndResolvedOnesComeBack() async throws {
        try await Ledger.withPrivateServer { ledger, server in
            let scene = try ParkingScene(ledger)
            let topics = [scene.route.letterTopic, scene.route.retryTopic]
            try await TestKafka.withTopics(named: topics, partitions: 1) {
                let isBroken = Switch(true)
                let projection = ledger.projection {
                    $0.isUndecodable = { isBroken.isOn && ["k1", "k2"].contains($0.key) && $0.sequence == 3 }
                }
                try await ledger.produce(count: 20, keys: 10)
                // The first key is parked before the failover, and the other one only in the transactions lost by it.
                try await ledger.produce((0..<3).map { _ in ledger.next("k1") })
                try await running(scene.runner(projection)) {
                    try await ledger.caughtUp()
                    #expect(try await scene.parked() == 3)
                    let snapshot = try await ServerSnapshot.take(of: server)
                    try await ledger.produce((0..<3).map { _ in ledger.next("k2") })
                    try await ledger.produce(count: 20, keys: 10)
                    try await ledger.caughtUp()
                    #expect(try await scene.parked() == 10)
                    try await snapshot.restore(to: server)
                    try await ledger.caughtUp()
                    #expect(try await scene.parked() == 10)
                    // Blocked keys are known again, too.
                    try await ledger.produce(["k1", "k2"].map { ledger.next($0) })
                    try await ledger.caughtUp()
                    #expect(try await scene.parked() == 12)

                    let second = try await ServerSnapshot.take(of: server)
                    isBroken.isOn = false
                    try await scene.retryUntilResolved()
                    try await second.restore(to: server)
                    try await scene.retryUntilResolved()
                    try await ledger.caughtUp()
                }
                #expect(try await scene.parked() == 0)
                try await ledger.expectExact()
            }
        }
    }
}

import Postgres
import StreamCore
import TestKit
import Testing

@testable import DeadLetters

/// The leader is woken only for letters that an answer made due.
@Suite struct DueSignalTests {
    /// Much longer than the test takes. Only a missing signal would wait this long.
    private static let long = Duration.seconds(600)

    /// Whether a wait lasts until its timeout.
    private func isSilent(_ due: DueSignal) async -> Bool {
        let limit = Duration.milliseconds(50)
        let start = ContinuousClock.now
        await due.wait(atMost: limit)
        return ContinuousClock.now - start >= limit
    }

    @Test func aCommitWakesOnceForWhatWasNotedBefore() async {
        let due = DueSignal()
        due.committed()
        #expect(await isSilent(due))
        due.note()
        #expect(await isSilent(due), "the transaction may be rolled back")
        due.committed()
        await due.wait(atMost: Self.long)
        due.committed()
        #expect(await isSilent(due))
    }

    @Test func theNextOfASequenceIsNoted() async throws {
        try await Desk.run { desk in
            let due = desk.writer.due
            try await desk.ingest(plainLetter(offset: 1), plainLetter(.blocked, offset: 2))
            due.committed()
            #expect(await isSilent(due), "new letters wait for their own time, or for another letter")

            try await desk.database.execute(
                script: "UPDATE dead_letters SET next_attempt_at = now() WHERE origin_offset = 1")
            #expect(try await desk.scheduler.sendDue() == 1)
            try await desk.ingest([.resolved(plainLetter(offset: 1).name, delivery: 2)])
            due.committed()
            await due.wait(atMost: Self.long)
            #expect(try await desk.scheduler.sendDue() == 1)

            try await desk.ingest([.resolved(plainLetter(offset: 2).name, delivery: 2)])
            due.committed()
            #expect(await isSilent(due), "no letter is left")
        }
    }

    /// An idle handler polls at first after at most ten minutes, and then less and less often. It must therefore be
    /// woken to send one letter after the other.
    @Test func setsFollowEachOtherWithoutAPoll() async throws {
        try await Scene.run { scene in
            let consumer = try await PlayedConsumer(scene)
            try await scene.withHandler({ $0.pollIntervalMs = 600_000 }) {
                try await consumer.park("a", 1)
                for offset in Int64(2)...40 { try await consumer.park("a", offset) }
                try await scene.waitFor(40, "state = 'pending'")
                await consumer.repair()
                try await scene.execute("UPDATE dead_letters SET next_attempt_at = now() WHERE origin_offset = 1")
                try await consumer.play {
                    try await scene.number("SELECT count(*) FROM dead_letters WHERE state = 'resolved'") == 40
                }
                #expect(await consumer.applied == ["a": Array(1...40)])
            }
            await consumer.close()
        }
    }
}

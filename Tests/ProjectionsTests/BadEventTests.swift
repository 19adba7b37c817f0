import Kafka
import Logging
import Postgres
import StreamCore
import TestKit
import Testing

@testable import Projections

@Suite struct BadEventTests {
    /// Tests an event that fails, with good events before it, after it and in other partitions. Then runs a repaired
    /// projection.
    private func stopsAndGoesOn(
        _ ledger: Ledger, stage: StoppedPartition.Stage, errorClass: String,
        broken: LedgerProjection, repaired: LedgerProjection, bad: LedgerEvent
    ) async throws {
        let observer = Observer()
        let log = RecordedLog()
        try await running(ledger.runner(broken, observer: observer, log: log)) {
            try await eventually { !observer.now.stopped.isEmpty }
            try await ledger.produce(count: 100, keys: 20)
            // The projection applies every event except those that follow the bad event in its partition.
            try await eventually {
                let status = try await ledger.status()
                let remaining = ledger.remaining(status)
                return remaining.count == 1
            }
        }
        let stopped = try #require(observer.now.stopped.first)
        #expect(observer.now.stopped.count == 1)
        guard case .failedEvent(stage, let failure) = stopped.reason else {
            Issue.record("stopped by \(stopped.reason)")
            return
        }
        #expect(failure.errorClass == errorClass)
        let line = try #require(log.lines("partition stopped").first)
        #expect(line.level == .error)
        #expect(line.metadata["offset"] == "\(stopped.offset)")
        #expect(line.metadata["event_id"] == "\(bad.id)")
        let before = try await ledger.rows()
        #expect(before[bad.key]?.lastSequence == bad.sequence - 1)
        #expect(try await ledger.status()?.nextOffsets[stopped.partition] == stopped.offset)
        try await running(ledger.runner(repaired)) { try await ledger.caughtUp() }
    }

    @Test func oneThatCannotBeDecodedStopsItsPartition() async throws {
        try await Ledger.with { ledger in
            try await ledger.produce(count: 200, keys: 20)
            let bad = ledger.next("k7")
            try await ledger.produce([bad])
            try await ledger.produce(count: 200, keys: 20)
            try await stopsAndGoesOn(
                ledger, stage: .decode, errorClass: "undecodable",
                broken: ledger.projection { $0.undecodable = (bad.key, bad.sequence) },
                repaired: ledger.projection(), bad: bad)
            try await ledger.expectExact()
        }
    }

    @Test func oneThatBreaksAConstraintStopsItsPartition() async throws {
        try await Ledger.with { ledger in
            try await ledger.produce(count: 200, keys: 20)
            let bad = ledger.next("k7", amount: -5)
            try await ledger.produce([bad])
            try await ledger.produce(count: 200, keys: 20)
            try await stopsAndGoesOn(
                ledger, stage: .apply, errorClass: "sql_23514", broken: ledger.projection(),
                repaired: ledger.projection {
                    $0.beforeApply = { _, transaction in
                        try await transaction.execute(
                            script: "ALTER TABLE ledger DROP CONSTRAINT IF EXISTS ledger_least_check")
                    }
                }, bad: bad)
            try await ledger.expectExact()
        }
    }

    @Test func oneThatTheProjectionRefusesStopsItsPartition() async throws {
        try await Ledger.with { ledger in
            try await ledger.produce(count: 100, keys: 20)
            let bad = ledger.next("k3")
            try await ledger.produce([bad])
            try await ledger.produce(count: 100, keys: 20)
            let broken = ledger.projection {
                $0.beforeApply = { events, _ in
                    if events.contains(where: { $0.id == bad.id }) {
                        throw EventFailure("refused", "the test says so", eventID: bad.id)
                    }
                }
            }
            try await stopsAndGoesOn(
                ledger, stage: .apply, errorClass: "refused", broken: broken, repaired: ledger.projection(), bad: bad)
            try await ledger.expectExact()
        }
    }
}

import Glibc
import Postgres
import TestKit
import Testing

/// Kills daemons with `kill -9` at critical steps and at random moments. The read model is exact after each kill.
@Suite struct KillTests {
    /// A projection that restarts with the same static member name gets its partitions back immediately. Not every
    /// broker removes a killed member from its group.
    private static let named = ["projection.instance_id": "alone"]

    /// Holds locks that make a daemon wait in the middle of its work, until the connection closes.
    private func holding(
        _ lock: String, in pipeline: Pipeline, _ body: () async throws -> Void
    ) async throws {
        let holder = try await PostgresConnection.connect(pipeline.postgres)
        try await holder.execute(script: "BEGIN; \(lock)")
        do { try await body() } catch {
            await holder.close()
            throw error
        }
        await holder.close()
    }

    @Test func relayBetweenAcknowledgementAndDelete() async throws {
        try await Pipeline.with { pipeline in
            try await pipeline.play(orders: 20)
            let rows = try await pipeline.number("SELECT count(*) FROM outbox")
            // SHARE mode lets the relay read but not delete.
            try await holding("LOCK TABLE outbox IN SHARE MODE", in: pipeline) {
                let doomed = try pipeline.relay()
                try await eventually { try await pipeline.recordsProduced() >= rows }
                doomed.signal(SIGKILL)
                _ = try await doomed.exitCode()
                // A server does not notice that the client of a waiting statement is gone, and would still execute the
                // statement.
                _ = try await pipeline.number(
                    """
                    SELECT count(pg_terminate_backend(pid)) FROM pg_locks
                    WHERE NOT granted AND relation = 'outbox'::regclass
                    """)
                try await eventually {
                    try await pipeline.number(
                        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'outbox'::regclass") == 0
                }
            }
            #expect(try await pipeline.number("SELECT count(*) FROM outbox") == rows)
            let relay = try pipeline.relay()
            let projection = try pipeline.projection(Self.named)
            try await pipeline.expectEverythingArrives()
            // The records were acknowledged but their rows were not deleted. They are published again, and the
            // projection recognizes the duplicates.
            #expect(try await pipeline.recordsProduced() == 2 * rows)
            #expect(try await pipeline.number("SELECT count(*) FROM processed_events") == rows)
            for daemon in [relay, projection] { try await daemon.stop() }
        }
    }

    @Test func projectionInTheMiddleOfABatch() async throws {
        try await Pipeline.with { pipeline in
            let relay = try pipeline.relay()
            try await pipeline.play(orders: 20)
            try await holding("LOCK TABLE order_summary_rows IN SHARE MODE", in: pipeline) {
                let doomed = try pipeline.projection(Self.named)
                // Its transaction has moved the offsets and stored the event ids. It waits to write the read model.
                try await eventually {
                    try await pipeline.number(
                        """
                        SELECT count(*) FROM pg_locks
                        WHERE NOT granted AND relation = 'order_summary_rows'::regclass
                        """) == 1
                }
                doomed.signal(SIGKILL)
                _ = try await doomed.exitCode()
            }
            let projection = try pipeline.projection(Self.named)
            try await pipeline.expectEverythingArrives()
            for daemon in [relay, projection] { try await daemon.stop() }
        }
    }

    @Test func projectionBetweenItsCommitAndKafkas() async throws {
        try await Pipeline.with { pipeline in
            let relay = try pipeline.relay()
            try await pipeline.play(orders: 20)
            // The interval is so long that the projection never copies an offset to Kafka.
            let doomed = try pipeline.projection(
                Self.named.merging(["projection.offset_copy_interval_ms": "600000"]) { _, given in given })
            try await eventually {
                try await pipeline.number("SELECT count(*) FROM order_summary") > 0
            }
            doomed.signal(SIGKILL)
            _ = try await doomed.exitCode()
            let applied = try await pipeline.number("SELECT sum(next_offset) FROM projection_offsets")
            let projection = try pipeline.projection(Self.named)
            try await pipeline.expectEverythingArrives()
            #expect(try await pipeline.number("SELECT sum(next_offset) FROM projection_offsets") >= applied)
            for daemon in [relay, projection] { try await daemon.stop() }
        }
    }

    @Test func everythingAgainAndAgainUnderLoad() async throws {
        try await Pipeline.with { pipeline in
            async let load: Void = pipeline.play(orders: 400, seed: 7)
            for round in 1...6 {
                let relay = try pipeline.relay()
                let projection = try pipeline.projection(Self.named)
                let dashboard = try pipeline.dashboard(Self.named)
                // In each round the daemons make progress before they are killed, at whatever step they then are.
                let applied = try await pipeline.number("SELECT count(*) FROM processed_events")
                let published = try await pipeline.recordsProduced()
                try await eventually {
                    let hasPublished = try await pipeline.recordsProduced() > published
                    let hasApplied = try await pipeline.number("SELECT count(*) FROM processed_events") > applied
                    if hasPublished && hasApplied { return true }
                    // Without more work there is no progress to wait for.
                    return try await pipeline.isEverythingPassed()
                }
                if round.isMultiple(of: 2) { relay.signal(SIGKILL) } else { relay.signal(SIGTERM) }
                projection.signal(SIGKILL)
                dashboard.signal(SIGKILL)
                _ = try await (relay.exitCode(), projection.exitCode(), dashboard.exitCode())
            }
            try await load
            let relay = try pipeline.relay()
            let projection = try pipeline.projection(Self.named)
            let dashboard = try pipeline.dashboard(Self.named)
            try await pipeline.expectEverythingArrives()
            try await pipeline.expectTheDashboardIsExact()
            for daemon in [relay, projection, dashboard] { try await daemon.stop() }
        }
    }
}

import CommandKit
import Commands
import Events
import Postgres
import StreamCore
import TestKit
import Testing

/// After a read model was handed over to commands, the commands of processes update it as well.
@Suite struct InlineReadModelTests {
    /// Counts events by type.
    private struct Counts: InlineReadModels {
        func apply(
            _ events: [InlineEvent], to version: InlineVersion, in transaction: PostgresTransaction
        ) async throws {
            for event in events {
                try await transaction.enqueue(
                    "INSERT INTO counts VALUES ($1, 1) ON CONFLICT (type) DO UPDATE SET n = counts.n + 1",
                    Parameters { $0.append(event.type) })
            }
        }
    }

    private static let handover = """
        CREATE TABLE counts (type text PRIMARY KEY, n int NOT NULL CHECK (type <> 'ShipmentCreated' OR n < 2));
        INSERT INTO inline_projections (name, version, topic_suffix) VALUES ('counts', 1, '-events')
        """
    private static let counted = "SELECT type, n FROM counts ORDER BY type COLLATE \"C\""

    @Test func theEventsOfStepsAreApplied() async throws {
        try await ProcessScene.with(pieces: 5, readModels: Counts()) { scene in
            try await scene.confirm("a", pieces: 2)
            let events = try await scene.events()
            try await scene.shop.connection.execute(script: Self.handover)
            try await scene.apply(events)
            #expect(try await scene.stages() == ["shipped 1"])
            #expect(
                try await scene.rows(Self.counted)
                    == (try await scene.rows(
                        """
                        SELECT event_type, count(*) FROM outbox
                        WHERE metadata ->> 'source' = 'order-process' GROUP BY 1 ORDER BY event_type COLLATE "C"
                        """)))
            #expect(try await scene.rows("SELECT n FROM counts WHERE type = 'ShipmentCreated'") == ["1"])
        }
    }

    /// If the read model refuses events, they are not committed, and the error names the read model.
    @Test func aReadModelThatRefusesRollsTheStepsBack() async throws {
        try await ProcessScene.with(pieces: 5, readModels: Counts()) { scene in
            try await scene.confirm("a")
            try await scene.shop.connection.execute(script: Self.handover)
            try await scene.apply(scene.events())
            try await scene.shop.connection.execute(script: "DELETE FROM inline_projections")
            try await scene.confirm("b")
            try await scene.shop.connection.execute(
                script: "INSERT INTO inline_projections (name, version, topic_suffix) VALUES ('counts', 1, '-events')")
            let events = try await scene.events()
            let error = await #expect(throws: PostgresError.self) { try await scene.apply(events) }
            #expect(error?.sqlState?.code == "23514" && error?.kind == .permanent)
            #expect(error?.message.contains("counts@1") == true)
            #expect(try await scene.stages() == ["shipped 1"])
            #expect(try await scene.rows("SELECT n FROM counts WHERE type = 'ShipmentCreated'") == ["1"])
        }
    }

    /// A program that cannot apply read models must not execute commands without them.
    @Test func withoutTheMeansNothingIsCarriedOut() async throws {
        try await ProcessScene.with(pieces: 5) { scene in
            try await scene.confirm("a")
            let events = try await scene.events()
            try await scene.shop.connection.execute(script: Self.handover)
            let error = await #expect(throws: PostgresError.self) { try await scene.apply(events) }
            #expect(error?.message.contains("cannot apply read models") == true)
            #expect(try await scene.stages() == [])
        }
    }
}

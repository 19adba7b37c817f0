import Foundation
import Kafka
import Postgres
import Projections
import ReadModels
import StreamCore
import TestKit
import Testing

@testable import SQLProjections

/// Tests a replay in short transactions: what other sessions see of it, how it follows a version that continues, and
/// what remains after it is killed.
@Suite struct ReplayTests {
    /// An event of type Held makes its transaction wait for a lock that the test can hold.
    private static func files(_ lock: Int64) -> [String: String] {
        [
            "schema.sql": """
            CREATE TABLE balances (account text PRIMARY KEY, balance numeric NOT NULL);
            CREATE TABLE owners (account text REFERENCES balances);
            """,
            "Deposited.sql": """
            INSERT INTO balances SELECT aggregate_id, sum((payload ->> 'amount')::numeric) FROM events GROUP BY 1
            ON CONFLICT (account) DO UPDATE SET balance = balances.balance + excluded.balance
            """,
            "Held.sql": "SELECT pg_advisory_xact_lock_shared(\(lock))",
        ]
    }

    /// Runs the body with a version that has 40 events, the 31st of which waits for a lock, and with a session that
    /// holds the lock.
    private func withHeldVersion(
        _ body: (Scene, ProjectionFolder, VersionSchema, PostgresConnection) async throws -> Void
    ) async throws {
        try await Scene.with { scene in
            let lock = Int64.random(in: 1 ... .max)
            let (_, folder) = try scene.folder(Self.files(lock))
            let version = try await scene.version(folder)
            for sequence in 1...40 {
                try await scene.produce(
                    "a", Scene.event(sequence == 31 ? "Held" : "Deposited", "a", sequence, "{\"amount\":1}"))
            }
            try await scene.run(version)
            try await scene.withConnection { holder in
                _ = try await holder.execute(.unprepared("SELECT pg_advisory_lock(\(lock))"))
                try await body(scene, folder, version, holder)
            }
        }
    }

    private func replay(
        _ scene: Scene, _ version: VersionSchema, lastRecords: Int64 = 0, passes: Int = 20
    ) -> FolderReplay {
        var patient = scene.postgres
        patient.lockTimeoutMs = 240_000
        return FolderReplay(
            version, patient, kafka: scene.kafka,
            bounds: FolderReplay.Bounds(transactionEvents: 5, lastRecords: lastRecords, passes: passes))
    }

    private func schemas(_ scene: Scene) async throws -> [String] {
        try await scene.column("SELECT schema_name FROM sql_projection_replays WHERE name = '\(scene.name)'")
    }

    /// A query for the session that owns a replay's schema.
    private static func holders(of schema: String) -> String {
        """
        SELECT l.pid::text FROM pg_locks AS l WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
            AND (l.classid::bigint << 32) | l.objid::bigint = hashtextextended('millrace replay \(schema)', 0)
        """
    }

    /// Waits until the replay waits at the held event.
    ///
    /// - Returns: the schema of the replay.
    private func heldSchema(_ scene: Scene, applied: Int = 30) async throws -> String {
        var schema = ""
        try await eventually {
            schema = try await schemas(scene).first ?? ""
            guard !schema.isEmpty else { return false }
            return try await scene.column("SELECT count(*)::text FROM \(schema).millrace_replayed_events")
                == ["\(applied)"]
        }
        return schema
    }

    @Test func othersSeeItsTransactionsAndTheVersionGoesOn() async throws {
        try await withHeldVersion { scene, folder, version, holder in
            async let comparing = replay(scene, version).run()
            let schema = try await heldSchema(scene)
            // The applied events are committed, in tables that are not written to the write-ahead log.
            #expect(try await scene.column("SELECT balance::text FROM \(schema).balances") == ["30"])
            #expect(
                try await scene.column(
                    """
                    SELECT relname || ' ' || relpersistence::text FROM pg_class
                    WHERE relnamespace = '\(schema)'::regnamespace AND relkind = 'r' ORDER BY 1
                    """) == ["balances p", "millrace_replayed_events u", "owners p"])
            // A running replay is not treated as a killed one.
            try await scene.withConnection { connection in
                try await connection.withTransaction { try await ReplaySchema.dropAbandoned(of: scene.name, in: $0) }
            }
            #expect(try await schemas(scene) == [schema])
            for sequence in 41...60 {
                try await scene.produce("a", Scene.event("Deposited", "a", sequence, "{\"amount\":1}"))
            }
            try await scene.run(version)
            _ = try await holder.execute(.unprepared("SELECT pg_advisory_unlock_all()"))
            let tables = try await comparing
            #expect(tables.filter { !$0.isEqual } == [])
            #expect(tables.map(\.table) == ["balances", "owners"] && tables.first?.rows == 1)
            #expect(try await schemas(scene).isEmpty)
            #expect(try await scene.column("SELECT balance::text FROM \(scene.name).balances") == ["59"])
            // The remaining records are read in one transaction only if there are few of them.
            let once = try await replay(scene, version, lastRecords: 60, passes: 0).run()
            #expect(once == tables)
            let failure = await #expect(throws: FolderReplay.Failure.self) {
                try await replay(scene, version, lastRecords: 59, passes: 0).run()
            }
            #expect(failure?.description.contains("more than 59 records ahead of its replay") == true)
            #expect(failure?.isDifference == false)
            #expect(try await schemas(scene).isEmpty)
        }
    }

    @Test func whatAKilledReplayLeftIsDroppedByTheNextOne() async throws {
        try await withHeldVersion { scene, folder, version, holder in
            let killed = Task { try await replay(scene, version).run() }
            let schema = try await heldSchema(scene)
            // This ends the session in the same way as a kill of its process.
            let ended = try await scene.column(
                "SELECT pg_terminate_backend(pid::int)::text FROM (\(Self.holders(of: schema))) AS h (pid)")
            #expect(ended == ["true"])
            await #expect(throws: (any Error).self) { try await killed.value }
            #expect(try await schemas(scene) == [schema])
            #expect(try await scene.column("SELECT balance::text FROM \(schema).balances") == ["30"])
            _ = try await holder.execute(.unprepared("SELECT pg_advisory_unlock_all()"))
            let tables = try await replay(scene, version).run()
            #expect(tables.filter { !$0.isEqual } == [])
            #expect(try await schemas(scene).isEmpty)
            let left = try await scene.column("SELECT nspname::text FROM pg_namespace WHERE nspname = '\(schema)'")
            #expect(left.isEmpty)
        }
    }

    @Test func whatAKilledReplayLeftGoesWithItsVersion() async throws {
        try await withHeldVersion { scene, folder, version, holder in
            let (_, next) = try scene.folder(Self.files(1), version: 2)
            try await scene.build(next)
            let building = VersionSchema(next, isIsolated: true)
            var abandoned = ""
            try await scene.withConnection { connection in
                abandoned = try await ReplaySchema.make(for: building, on: connection).name
            }
            #expect(try await schemas(scene) == [abandoned])
            // The server may need a moment to end the session.
            try await eventually { try await scene.column(Self.holders(of: abandoned)).isEmpty }
            _ = try await scene.rebuild(next).abort()
            #expect(try await schemas(scene).isEmpty)
            let left = try await scene.column(
                """
                SELECT nspname::text FROM pg_namespace WHERE nspname = '\(abandoned)' UNION ALL
                SELECT rolname::text FROM pg_roles WHERE rolname = '\(next.schemaName)'
                """)
            #expect(left.isEmpty)
        }
    }

    /// An event is parked in one pass and applied before the next.
    @Test func anEventThatIsReleasedMeanwhileIsApplied() async throws {
        try await withHeldVersion { scene, folder, version, holder in
            // Simulates that the 11th event was parked: the balance does not include it.
            _ = try await scene.column(
                """
                INSERT INTO parked_events (projection_id, topic, partition, record_offset, reason)
                SELECT p.id, o.topic, o.partition, 10, 'failed'
                FROM projections AS p JOIN projection_offsets AS o ON o.projection_id = p.id
                WHERE p.name = '\(scene.name)' AND o.next_offset = 40 RETURNING topic
                """)
            _ = try await scene.column("UPDATE \(folder.schemaName).balances SET balance = 38 RETURNING account")
            async let comparing = replay(scene, version).run()
            _ = try await heldSchema(scene, applied: 25)
            _ = try await scene.column("DELETE FROM parked_events RETURNING topic")
            _ = try await scene.column("UPDATE \(folder.schemaName).balances SET balance = 39 RETURNING account")
            _ = try await holder.execute(.unprepared("SELECT pg_advisory_unlock_all()"))
            #expect(try await comparing.filter { !$0.isEqual } == [])
        }
    }
}

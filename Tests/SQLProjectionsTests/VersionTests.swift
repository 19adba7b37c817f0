import Foundation
import Kafka
import Migrations
import Postgres
import Projections
import ReadModels
import SQLText
import TestKit
import Testing

@testable import SQLProjections

/// Tests versions of folders: which are shown, promoted and dropped, and the differences that a replay finds.
@Suite struct VersionTests {
    private static let files = [
        "schema.sql": """
        CREATE TABLE balances (account text PRIMARY KEY, balance numeric NOT NULL, written timestamptz DEFAULT now());
        CREATE TABLE old (id int);
        CREATE VIEW rich AS SELECT account FROM balances WHERE balance > 100;
        """,
        "Deposited.sql": """
        INSERT INTO balances SELECT aggregate_id, sum((payload ->> 'amount')::numeric) FROM events GROUP BY 1
        ON CONFLICT (account) DO UPDATE SET balance = balances.balance + excluded.balance
        """,
    ]
    /// One additional column in front, one table removed, and one table added.
    private static let changed = files.merging([
        "schema.sql": """
        CREATE TABLE balances (number int DEFAULT 7, account text PRIMARY KEY, balance numeric NOT NULL);
        CREATE TABLE new (id int);
        CREATE VIEW rich AS SELECT account FROM balances WHERE balance > 1000;
        """,
        "Deposited.sql": """
        INSERT INTO balances (account, balance)
        SELECT aggregate_id, sum((payload ->> 'amount')::numeric) FROM events GROUP BY 1
        ON CONFLICT (account) DO UPDATE SET balance = balances.balance + excluded.balance
        """,
    ]) { _, new in new }

    private func views(_ scene: Scene) async throws -> [String] {
        try await scene.column(
            """
            SELECT c.relname || ' ' || string_agg(a.attname, ',' ORDER BY a.attnum) FROM pg_class AS c
            JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
            WHERE c.relnamespace = '\(scene.name)'::regnamespace AND c.relkind = 'v' GROUP BY c.relname ORDER BY 1
            """)
    }

    @Test func theViewsShowTheLiveVersion() async throws {
        try await Scene.with { scene in
            let (_, folder) = try scene.folder(Self.files)
            let first = try await scene.version(folder)
            #expect(try await views(scene) == ["balances account,balance,written", "old id", "rich account"])
            try await scene.produce("a", Scene.event("Deposited", "a", 1, "{\"amount\":5}"))
            try await scene.run(first)
            let total = "SELECT sum(balance)::text FROM \(scene.name).balances"
            #expect(try await scene.column(total) == ["5"])

            let reader = "reader_" + scene.name
            _ = try await scene.column("CREATE ROLE \(reader)")
            let grants = """
                GRANT USAGE ON SCHEMA \(scene.name) TO \(reader);
                GRANT SELECT ON \(scene.name).balances, \(scene.name).rich TO \(reader)
                """
            try await scene.withConnection { try await $0.execute(script: grants) }
            let (_, next) = try scene.folder(Self.changed, version: 2)
            let made = try await scene.build(next)
            #expect(made.state == .building && made.schema == next.schemaName)
            #expect(try await views(scene).first == "balances account,balance,written")
            try await scene.withConnection { connection in
                try await VersionSchema(next, isIsolated: true).prepare(connection)
            }
            try await scene.run(VersionSchema(next, isIsolated: true))
            try await scene.withConnection { connection in
                _ = try await connection.execute(.unprepared("UPDATE \(next.schemaName).balances SET balance = 6"))
            }
            await #expect(throws: RebuildRefusal.self) { try await scene.rebuild(next).promote(isForced: false) }
            // The version is promoted by name, without its folder.
            let promotion = try await Rebuild(FolderTables.readModel(named: scene.name), scene.postgres)
                .promote(isForced: true)
            #expect(promotion.version.version == 2)
            #expect(try await views(scene) == ["balances number,account,balance", "new id", "rich account"])
            try await scene.withConnection { connection in
                let seen = try await connection.withTransaction { transaction in
                    try await transaction.execute(script: "SET LOCAL ROLE \(reader)")
                    let rich = try await transaction.execute(
                        .unprepared("SELECT count(*) FROM \(scene.name).rich")
                    ).int64(0, 0)
                    let sum = try await transaction.execute(.unprepared(total)).string(0, 0)
                    return "\(sum) \(rich)"
                }
                #expect(seen == "6 0")
                try await connection.execute(script: "DROP OWNED BY \(reader); DROP ROLE \(reader)")
            }
            #expect(try await scene.rebuild(next).retire().map(\.version) == [1])
            let left = try await scene.column(
                """
                SELECT nspname::text FROM pg_namespace WHERE starts_with(nspname, '\(scene.name)') UNION ALL
                SELECT rolname::text FROM pg_roles WHERE starts_with(rolname, '\(scene.name)') ORDER BY 1
                """)
            #expect(left == [scene.name, next.schemaName, next.schemaName])
            // A version that was superseded and dropped cannot be built again.
            let refusal = await #expect(throws: RebuildRefusal.self) { try await scene.build(folder) }
            #expect(refusal?.code == .notNewer)
        }
    }

    @Test func whatDependsOnAViewIsNotBroken() async throws {
        try await Scene.with { scene in
            let (_, folder) = try scene.folder(Self.files)
            _ = try await scene.version(folder)
            let other = "\"\(scene.postgres.schema)\".report"
            _ = try await scene.column("CREATE VIEW \(other) AS SELECT written FROM \(scene.name).balances")
            let (_, next) = try scene.folder(Self.changed, version: 2)
            try await scene.build(next)
            let refusal = await #expect(throws: RebuildRefusal.self) {
                try await scene.rebuild(next).promote(isForced: true)
            }
            #expect(refusal?.code == .otherViews && refusal?.description.contains("report") == true)
            #expect(try await scene.rebuild(next).policy().live?.version == 1)
            #expect(try await views(scene).count == 3)
            #expect(try await scene.column("SELECT count(*)::text FROM \(other)") == ["0"])
            #expect(try await scene.rebuild(next).abort().version == 2)
            #expect(try await scene.column("SELECT version::text FROM sql_projections") == ["1"])
        }
    }

    @Test func theViewsHaveAnotherNameWhereTheirsIsTaken() async throws {
        try await Scene.with { scene in
            try await scene.withConnection { try await $0.execute(script: "CREATE SCHEMA \(scene.name)") }
            let (_, folder) = try scene.folder(Self.files)
            _ = try await scene.version(folder)
            let count = "SELECT count(*)::text FROM \(scene.name)_live.balances"
            #expect(try await scene.column(count) == ["0"])
            // A version that was created before views existed gets them when its daemon starts.
            try await scene.withConnection { connection in
                try await connection.execute(
                    script: "DROP SCHEMA \(scene.name)_live CASCADE; DELETE FROM sql_projection_views")
            }
            _ = try await scene.version(folder)
            #expect(try await scene.column(count) == ["0"])
        }
    }

    /// The daemons' user has few rights, and another user begins and promotes a version.
    @Test func whatAnAdministratorPromotesBelongsToTheDaemons() async throws {
        try await Scene.with { scene in
            let keeper = "keeper_" + scene.name
            let schema = SQLIdentifier.quoted(scene.postgres.schema)
            try await scene.withConnection { connection in
                try await connection.execute(
                    script: """
                        CREATE ROLE \(keeper) LOGIN CREATEROLE PASSWORD '\(keeper)';
                        DO $$ BEGIN
                            EXECUTE format('GRANT CREATE ON DATABASE %I TO \(keeper)', current_database());
                        END $$;
                        GRANT ALL ON SCHEMA \(schema) TO \(keeper);
                        GRANT ALL ON ALL TABLES IN SCHEMA \(schema) TO \(keeper);
                        GRANT ALL ON ALL SEQUENCES IN SCHEMA \(schema) TO \(keeper)
                        """)
            }
            var own = scene.postgres
            own.user = keeper
            own.password = keeper
            func asKeeper<Result>(_ body: (PostgresConnection) async throws -> Result) async throws -> Result {
                let connection = try await PostgresConnection.connect(own)
                let result: Swift.Result<Result, any Error>
                do { result = .success(try await body(connection)) } catch { result = .failure(error) }
                await connection.close()
                return try result.get()
            }
            let (_, folder) = try scene.folder(Self.files, settings: "strict_sequence = true")
            try await asKeeper { try await VersionSchema(folder, isIsolated: true).prepare($0) }
            let (_, next) = try scene.folder(Self.changed, settings: "strict_sequence = true", version: 2)
            try await scene.build(next)
            _ = try await scene.rebuild(next).promote(isForced: true)
            let owners = try await scene.column(
                """
                SELECT DISTINCT relowner::regrole::text FROM pg_class
                WHERE relnamespace = '\(scene.name)'::regnamespace AND relkind = 'v'
                """)
            #expect(owners == [keeper])
            try await asKeeper { connection in
                try await VersionSchema(next, isIsolated: true).prepare(connection)
                try await connection.execute(
                    script: """
                        SELECT FROM \(scene.name).balances; SELECT FROM \(next.schemaName).millrace_sequences
                        """)
            }
            // The daemons' user can continue alone.
            let (_, last) = try scene.folder(Self.files, settings: "strict_sequence = true", version: 3)
            let rebuild = Rebuild(VersionSchema(last, isIsolated: true).readModel, own)
            _ = try await rebuild.start(Rebuild.Reading(topics: last.topics), kafka: scene.kafka)
            #expect(try await rebuild.promote(isForced: true).version.version == 3)
            #expect(try await rebuild.retire().map(\.version) == [1, 2])
            try await scene.withConnection { connection in
                try await connection.execute(script: "DROP OWNED BY \(keeper) CASCADE; DROP ROLE \(keeper)")
            }
        }
    }

    @Test func aStatementThatCannotRunLeavesNoVersion() async throws {
        try await Scene.with { scene in
            let (_, wrong) = try scene.folder(Self.files.merging(["Lost.sql": "SELECT no FROM old"]) { $1 })
            await #expect(throws: InvalidFolder.self) { try await scene.version(wrong) }
            #expect(try await scene.column("SELECT name FROM sql_projections").isEmpty)
            let (_, folder) = try scene.folder(Self.files)
            _ = try await scene.version(folder)
            let (_, next) = try scene.folder(Self.files.merging(["Lost.sql": "SELECT no FROM old"]) { $1 }, version: 2)
            await #expect(throws: InvalidFolder.self) { try await scene.build(next) }
            #expect(try await scene.rebuild(next).policy().building == nil)
            // A rebuild can be resumed only with the same files.
            let (_, good) = try scene.folder(Self.changed, version: 2)
            try await scene.build(good)
            await #expect(throws: VersionSchema.Refusal.self) { try await scene.build(next) }
            #expect(try await scene.build(good).version == 2)
        }
    }

    /// Before the migration, the lowest version was the one that was read.
    @Test func theLowestVersionOfBeforeIsLive() async throws {
        let embedded = MigrationCatalog.embedded
        let all = try embedded.sets.flatMap { try embedded.migrations(of: $0) }
        let before = try MigrationCatalog(all.filter { $0.set != "sql-projections" || $0.number < 3 })
        try await TestDatabase.withSchema(migrating: ["projections", "sql-projections"], of: before) { postgres in
            let connection = try await PostgresConnection.connect(postgres)
            try await connection.execute(
                script: """
                    INSERT INTO sql_projections (name, version, schema_name, schema_checksum)
                    SELECT 'b', n, current_schema() || '_b' || n, ''::bytea FROM unnest('{2,3,7}'::int[]) AS n
                    UNION ALL SELECT 'alone', 4, current_schema() || '_alone', ''::bytea;
                    INSERT INTO projections (id, name, version, consumer_group)
                    VALUES (1, 'b', 2, 'g2'), (2, 'b', 7, 'g7'), (3, 'alone', 4, 'g4');
                    INSERT INTO projection_offsets (projection_id, topic, partition, next_offset)
                    VALUES (1, 't', 0, 10), (1, 't', 1, 20), (2, 't', 0, 3), (3, 't', 0, 5);
                    """)
            try await Migrator(postgres).up(["projections", "sql-projections"])
            func column(_ query: String) async throws -> [String] {
                let rows = try await connection.execute(.unprepared(query))
                return try (0..<rows.rowCount).map { try rows.string($0, 0) }
            }
            #expect(
                try await column(
                    "SELECT concat_ws(' ', name, version, structure, state) FROM projection_versions ORDER BY 1") == [
                        "alone 4 4 live", "b 2 2 live", "b 3 3 superseded", "b 7 7 building",
                    ])
            let ranges = try await column(
                "SELECT concat_ws(' ', name, version, partition, start_offset, end_offset) FROM rebuild_ranges ORDER BY 1"
            )
            #expect(ranges == ["b 7 0 0 10", "b 7 1 0 20"])
            let rebuild = Rebuild(FolderTables.readModel(named: "b"), postgres)
            let building = try #require(try await rebuild.policy().building)
            let progress = try await rebuild.progress(of: building, on: connection)
            #expect(!progress.hasReachedEnds && progress.behindLive == 27)
            await connection.close()
        }
    }

    // MARK: the replay

    private func replay(_ scene: Scene, _ folder: ProjectionFolder) async throws -> [TableComparison] {
        try await FolderReplay(VersionSchema(folder, isIsolated: true), scene.postgres, kafka: scene.kafka).run()
    }

    @Test(arguments: [false, true]) func aReplayFindsWhatDiffers(_ isStrict: Bool) async throws {
        try await Scene.with { scene in
            let (_, folder) = try scene.folder(
                Self.files,
                settings: "unchecked_columns = [\"balances.written\"]\nstrict_sequence = \(isStrict)")
            let version = try await scene.version(folder)
            let id = UUID()
            for sequence in 1...1_500 {
                try await scene.produce(
                    "a\(sequence % 7)",
                    Scene.event(
                        "Deposited", "a\(sequence % 7)", (sequence + 6) / 7, "{\"amount\":1.5}",
                        eventID: sequence == 1 ? id : UUID()))
            }
            try await scene.run(version)
            // The event counts once.
            try await scene.produce("a1", Scene.event("Deposited", "a1", 1, "{\"amount\":1.5}", eventID: id))
            try await scene.run(version)
            let equal = try await replay(scene, folder)
            #expect(equal.filter { !$0.isEqual } == [])
            #expect(equal.first { $0.table == "balances" }?.rows == 7)

            // A record that was produced but not applied yet is not a difference.
            try await scene.produce("a1", Scene.event("Deposited", "a1", 216, "{\"amount\":9}"))
            #expect(try await replay(scene, folder).filter { !$0.isEqual } == [])
            _ = try await scene.column(
                """
                UPDATE \(folder.schemaName).balances SET balance = balance + 1 WHERE account = 'a3'
                RETURNING account
                """)
            _ = try await scene.column("INSERT INTO \(folder.schemaName).old VALUES (4), (4) RETURNING id::text")
            let found = try await replay(scene, folder).filter { !$0.isEqual }
            #expect(found.map(\.table) == ["balances", "old"])
            #expect(found.map(\.surplus) == [1, 2] && found.map(\.missing) == [1, 0])
            #expect(found.first?.examples == ["- (a3,321.0)", "+ (a3,322.0)"])
            #expect(try await scene.column("SELECT schema_name FROM sql_projection_replays").isEmpty)
        }
    }

    @Test func aReplayKeepsToWhatOperatorsDecided() async throws {
        try await Scene.with { scene in
            let (_, folder) = try scene.folder(
                Self.files, settings: "unchecked_columns = [\"balances.written\"]\norder = \"none\"")
            let version = try await scene.version(folder)
            let route = DeadLetterRoute(consumer: scene.name)
            try await TestKafka.withTopics(named: [route.letterTopic, route.retryTopic], partitions: 1) {
                for amount in ["1", "\"much\"", "2"] {
                    try await scene.produce("a", Scene.event("Deposited", "a", 1, "{\"amount\":\(amount)}"))
                }
                var parking = route
                parking.order = .none
                try await scene.run(version) { [parking] in $0.onFailure = .park(parking) }
                #expect(try await scene.column("SELECT balance::text FROM \(scene.name).balances") == ["3"])
                // The event is parked first, and then discarded.
                #expect(try await replay(scene, folder).filter { !$0.isEqual } == [])
                _ = try await scene.column("UPDATE parked_events SET reason = 'discarded' RETURNING reason")
                #expect(try await replay(scene, folder).filter { !$0.isEqual } == [])
                // Without the parked row and the decision, the event cannot be applied again.
                _ = try await scene.column("DELETE FROM event_decisions RETURNING topic")
                _ = try await scene.column("DELETE FROM parked_events RETURNING topic")
                let failure = await #expect(throws: FolderReplay.Failure.self) { try await replay(scene, folder) }
                #expect(failure?.description.contains("cannot be applied again") == true)
            }
        }
    }
}

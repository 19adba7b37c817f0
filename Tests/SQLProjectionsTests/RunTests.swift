import Foundation
import Kafka
import Postgres
import Projections
import SQLText
import StreamCore
import TestKit
import Testing

@testable import SQLProjections

@Suite struct RunTests {
    private static let schema = """
        CREATE TABLE balances (account text PRIMARY KEY, balance numeric NOT NULL, entries int NOT NULL);
        """
    /// Sums in SQL, so that an event counts once at every position of the batch.
    private static let batch = [
        "schema.sql": schema,
        "Deposited.sql": """
        INSERT INTO balances
        SELECT aggregate_id, sum((payload ->> 'amount')::numeric), count(*) FROM events GROUP BY 1
        ON CONFLICT (account) DO UPDATE
        SET balance = balances.balance + excluded.balance, entries = balances.entries + excluded.entries
        """,
    ]
    private static let event = [
        "schema.sql": schema,
        "Deposited.sql": """
        INSERT INTO balances VALUES (:aggregate_id, (:payload ->> 'amount')::numeric, 1)
        ON CONFLICT (account) DO UPDATE
        SET balance = balances.balance + excluded.balance, entries = balances.entries + 1
        """,
    ]

    private func deposit(_ account: Int, _ sequence: Int, _ amount: String = "1.10", id: UUID = UUID()) -> [UInt8] {
        Scene.event("Deposited", "a\(account)", sequence, "{\"amount\":\(amount)}", eventID: id)
    }

    private func balances(_ scene: Scene, _ folder: ProjectionFolder) async throws -> [String] {
        try await scene.column(
            "SELECT account || ' ' || balance || ' ' || entries FROM \(folder.schemaName).balances ORDER BY 1")
    }

    @Test(arguments: ProjectionMode.allCases) func everyEventTakesEffectOnce(_ mode: ProjectionMode) async throws {
        try await Scene.with { scene in
            let (_, folder) = try scene.folder(
                mode == .batch ? Self.batch : Self.event, settings: "mode = \"\(mode)\"")
            let version = try await scene.version(folder)
            var again: [(String, [UInt8])] = []
            for sequence in 1...20 {
                for account in 1...5 {
                    let event = deposit(account, sequence)
                    try await scene.produce("a\(account)", event)
                    if sequence % 7 == 0 { again.append(("a\(account)", event)) }
                }
            }
            try await scene.run(version)
            // Deliver events a second time, and add types that the folder does not process.
            for (key, event) in again { try await scene.produce(key, event) }
            try await scene.produce("a1", Scene.event("Frozen", "a1", 21, "{}"))
            try await scene.produce("a1", nil)
            try await scene.run(version)
            #expect(try await balances(scene, folder) == (1...5).map { "a\($0) 22.00 20" })
        }
    }

    @Test(arguments: ProjectionMode.allCases) func oneBadEventIsParkedAlone(_ mode: ProjectionMode) async throws {
        try await Scene.with { scene in
            let (_, folder) = try scene.folder(
                mode == .batch ? Self.batch : Self.event, settings: "mode = \"\(mode)\"\norder = \"none\"")
            let version = try await scene.version(folder)
            var route = DeadLetterRoute(consumer: scene.name)
            route.order = .none
            try await TestKafka.withTopics(named: [route.letterTopic, route.retryTopic], partitions: 1) {
                for sequence in 1...10 {
                    try await scene.produce("a1", deposit(1, sequence, sequence == 4 ? "\"much\"" : "2"))
                }
                try await scene.run(version) { $0.onFailure = .park(route) }
                #expect(try await balances(scene, folder) == ["a1 18 9"])
                #expect(try await scene.column("SELECT error_class FROM parked_events") == ["sql_22P02"])
            }
        }
    }

    /// The event that takes for ever becomes a letter, and those of other keys beside it are applied.
    @Test(arguments: ProjectionMode.allCases)
    func aStatementThatTakesTooLongIsItsEventsFault(_ mode: ProjectionMode) async throws {
        try await Scene.with { scene in
            var files = mode == .batch ? Self.batch : Self.event
            let payload = mode == .batch ? "payload" : ":payload"
            let source = mode == .batch ? " FROM events" : ""
            files["Deposited.sql", default: ""] += """
                ;
                SELECT pg_sleep(60 * (\(payload) ->> 'amount' = '666')::int)\(source)
                """
            let (_, folder) = try scene.folder(files, settings: "mode = \"\(mode)\"")
            let version = try await scene.version(folder)
            let route = DeadLetterRoute(consumer: scene.name)
            try await TestKafka.withTopics(named: [route.letterTopic, route.retryTopic], partitions: 1) {
                for sequence in 1...3 {
                    for account in 1...5 {
                        let amount = (account, sequence) == (3, 2) ? "666" : "2"
                        try await scene.produce("a\(account)", deposit(account, sequence, amount))
                    }
                }
                try await scene.run(version, statementTimeoutMs: 1_000) { $0.onFailure = .park(route) }
                #expect(try await balances(scene, folder) == ["a1 6 3", "a2 6 3", "a3 2 1", "a4 6 3", "a5 6 3"])
                #expect(
                    try await scene.column(
                        "SELECT concat_ws(' ', reason, error_class) FROM parked_events ORDER BY 1")
                        == ["blocked", "failed sql_57014"])
            }
        }
    }

    @Test func aStatementSeesTheEventAsItIs() async throws {
        try await Scene.with { scene in
            let (_, folder) = try scene.folder([
                "schema.sql": "CREATE TABLE seen (line text)",
                "apply.sql": """
                INSERT INTO seen SELECT concat_ws('|', event_id, type, aggregate_type, aggregate_id, sequence,
                    occurred_at AT TIME ZONE 'UTC', version, correlation_id, metadata ->> 'source', payload ->> 'a',
                    topic = '\(scene.topic)', partition >= 0, "offset", position) FROM events
                """,
            ])
            let id = UUID()
            try await scene.produce("k", Scene.event("Any", "k", 7, "{\"a\":\"é\"}", eventID: id))
            try await scene.run(scene.version(folder))
            #expect(
                try await scene.column("SELECT line FROM \(folder.schemaName).seen") == [
                    "\(id.uuidString.lowercased())|Any|Account|k|7|2026-05-01 10:00:00.5|1|c|test|é|t|t|0|1"
                ])
        }
    }

    // MARK: operations that a folder may not do

    @Test func statementsAreCheckedWhereTheyStand() async throws {
        try await Scene.with { scene in
            let (place, folder) = try scene.folder([
                "schema.sql": Self.schema, "A.sql": "INSERT INTO balances\nSELECT acount FROM events",
                "B.sql": "WITH é AS (SELECT 'é') SELECT 'é', balance_ FROM balances",
            ])
            let error = await #expect(throws: InvalidFolder.self) { try await scene.version(folder) }
            let problems = error?.problems.map { $0.description.replacing(place.path + "/", with: "") } ?? []
            #expect(problems.count == 2)
            #expect(problems.first?.hasPrefix("A.sql:2:8: column \"acount\" does not exist (SQLSTATE 42703)") == true)
            #expect(problems.last?.hasPrefix("B.sql:1:36: column \"balance_\" does not exist") == true, "\(problems)")
        }
    }

    @Test func aSchemaThatIsWrongIsToldAndLeavesNothing() async throws {
        try await Scene.with { scene in
            let (place, folder) = try scene.folder([
                "schema.sql": "CREATE TABLE a (id int);\nCREATE TABLE b (id itn);", "apply.sql": "SELECT 1",
            ])
            let error = await #expect(throws: InvalidFolder.self) { try await scene.version(folder) }
            #expect(
                error?.description.replacing(place.path + "/", with: "")
                    == "schema.sql:2:20: type \"itn\" does not exist (SQLSTATE 42704)")
            let schemas = try await scene.column(
                "SELECT nspname::text FROM pg_namespace WHERE nspname = '\(folder.schemaName)'")
            #expect(schemas.isEmpty)
        }
    }

    /// The server tells no position of what fails while it runs.
    @Test(arguments: [
        ("CREATE TABLE a (id int PRIMARY KEY);\n\nINSERT INTO a\n  VALUES (1), (1);\nSELECT 1;", "3:1: duplicate key"),
        ("CREATE TABLE a ();\n-- ; again\nCREATE TABLE a ();", "3:1: relation \"a\" already exists"),
        ("SELECT ';';\nDO $$ BEGIN RAISE 'no; such'; END $$;", "2:1: no; such"),
        (
            """
            CREATE TABLE a (id int); CREATE TABLE b (id int);
            CREATE RULE r AS ON INSERT TO a DO (INSERT INTO b VALUES (new.id); DELETE FROM b WHERE id = 0);
            CREATE FUNCTION f() RETURNS int LANGUAGE sql
            BEGIN ATOMIC
                SELECT CASE WHEN true THEN 1 END;
                SELECT 2;
            END;
            SELECT f(); SELECT 1 / (f() - 2);
            """, "8:13: division by zero"
        ),
        ("CREATE TABLE a (id int);\nSELECT 1;;\nCREATE TABLE b (id int", "3:23: syntax error at end of input"),
    ]) func theFailingStatementOfTheSchemaIsTold(_ schema: String, _ expected: String) async throws {
        try await Scene.with { scene in
            let (place, folder) = try scene.folder(["schema.sql": schema, "apply.sql": "SELECT 1"])
            let error = await #expect(throws: InvalidFolder.self) { try await scene.version(folder) }
            let told = error?.description.replacing(place.path + "/schema.sql:", with: "") ?? ""
            #expect(told.hasPrefix(expected), "\(told)")
        }
    }

    @Test func anExtensionThatIsMissingIsTold() async throws {
        try await Scene.with { scene in
            let (place, folder) = try scene.folder([
                "schema.sql": "CREATE EXTENSION IF NOT EXISTS no_such_extension;", "apply.sql": "SELECT 1",
            ])
            let error = await #expect(throws: InvalidFolder.self) { try await scene.version(folder) }
            let told = error?.description.replacing(place.path + "/", with: "") ?? ""
            #expect(told.hasPrefix("schema.sql:1:1: extension \"no_such_extension\" is not available"), "\(told)")
        }
    }

    @Test func statementsWriteNowhereElse() async throws {
        try await Scene.with { scene in
            let other = "\"\(scene.postgres.schema)\".projection_offsets"
            let (_, folder) = try scene.folder([
                "schema.sql": Self.schema, "apply.sql": "DELETE FROM \(other) WHERE false",
            ])
            let error = await #expect(throws: InvalidFolder.self) { try await scene.version(folder) }
            #expect(error?.description.contains("apply.sql:1:13: permission denied for schema") == true)
        }
    }

    @Test func readersReadAndDoNoMore() async throws {
        try await Scene.with { scene in
            let (_, folder) = try scene.folder(Self.batch)
            let reader = "reader_" + scene.name
            _ = try await scene.column("CREATE ROLE \(reader)")
            let version = VersionSchema(folder, isIsolated: true, readers: [reader])
            for _ in 1...2 { try await scene.withConnection { try await version.prepare($0) } }
            try await scene.withConnection { connection in
                let schema = folder.schemaName
                try await connection.execute(
                    script: """
                        SET ROLE \(schema); CREATE TABLE \(schema).later (n int); RESET ROLE; SET ROLE \(reader);
                        SELECT FROM \(schema).balances; SELECT FROM \(schema).later
                        """)
                await #expect(throws: PostgresError.self) {
                    try await connection.execute(script: "INSERT INTO \(schema).balances VALUES ('a', 1, 1)")
                }
                try await connection.execute(script: "RESET ROLE; DROP OWNED BY \(reader); DROP ROLE \(reader)")
            }
            let unknown = VersionSchema(folder, isIsolated: true, readers: ["nobody_\(scene.name)"])
            let error = await #expect(throws: VersionSchema.Refusal.self) {
                try await scene.withConnection { try await unknown.prepare($0) }
            }
            #expect(error?.description.contains("one of sql_projections.readers, cannot get the right to read") == true)
        }
    }

    // MARK: order

    @Test func aGapParksTheEventsBehindIt() async throws {
        try await Scene.with { scene in
            let (_, folder) = try scene.folder(Self.event, settings: "mode = \"event\"\nstrict_sequence = true")
            let version = try await scene.version(folder)
            let route = DeadLetterRoute(consumer: scene.name)
            try await TestKafka.withTopics(named: [route.letterTopic, route.retryTopic], partitions: 1) {
                for sequence in [1, 2, 4, 5] { try await scene.produce("a1", deposit(1, sequence)) }
                for sequence in 1...3 { try await scene.produce("a2", deposit(2, sequence)) }
                // This sequence was already used by another event.
                try await scene.produce("a3", deposit(3, 1))
                try await scene.produce("a3", deposit(3, 1))
                try await scene.run(version) { $0.onFailure = .park(route) }
                #expect(try await balances(scene, folder) == ["a1 2.20 2", "a2 3.30 3", "a3 1.10 1"])
                #expect(
                    try await scene.column(
                        "SELECT concat_ws(' ', reason, error_class) FROM parked_events ORDER BY 1")
                        == ["blocked", "failed sequence_gap", "failed sequence_repeated"])
            }
        }
    }
}

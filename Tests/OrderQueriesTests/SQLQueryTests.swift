import Foundation
import HTTP
import Postgres
import SQLQueries
import SQLText
import TestKit
import Testing

@testable import OrderQueries

/// Tests queries in files of SQL, called without an HTTP server.
@Suite struct SQLQueryTests {
    @Test func pagesAreAnsweredLikeOthers() async throws {
        try await SQLQueryScene.with(["things": SQLQueryScene.things]) { scene in
            // Kafka has no such topic, so `asOf` is the time of the last commit.
            try await eventually { try await scene.ask("things").header("X-As-Of") == "2026-05-01T10:00:00.000000Z" }
            let first = try await scene.ask("things", [("limit", "2")])
            #expect(first.status == 200 && first.header("Content-Type") == "application/json")
            #expect(
                first.text.hasPrefix(#"{"rows":[{"id":1,"kind":"k1","version":1},{"id":2,"kind":"k2","version":1}],"#))
            #expect(first.header("Link")?.hasPrefix("</v1/q/things?limit=2&cursor=") == true)
            #expect(first.header("Cache-Control") == "no-cache")
            let cursor = try #require(first.text.firstMatch(of: #/"next":"([^"]*)"/#)).1
            let second = try await scene.ask("things", [("limit", "2"), ("cursor", String(cursor))])
            #expect(second.text == #"{"rows":[{"id":3,"kind":"k0","version":1}],"next":null}"#)
            #expect(second.header("Link") == nil)
            let tag = try #require(second.header("ETag"))
            let same = try await scene.ask(
                "things", [("limit", "2"), ("cursor", String(cursor))], headers: [("If-None-Match", tag)])
            #expect(same.status == 304)
            if case .none = same.body {} else { Issue.record("a 304 has no body") }
        }
    }

    @Test func whatIsWrongIsAProblem() async throws {
        try await SQLQueryScene.with([
            "things": SQLQueryScene.things,
            "slow": "-- @reads things\n-- @timeout 20ms\nSELECT pg_sleep(60)::text AS s",
        ]) { scene in
            await expectProblem("about:blank", 404) { try await scene.ask("thing") }
            await expectProblem("about:blank", 404) { try await scene.ask("things'; --") }
            await expectProblem("/problems/deadline-exceeded", 504) { try await scene.ask("slow") }
            for (name, value) in [("kind", "k1'; --"), ("limit", "0"), ("id", "x"), ("cursor", "AAAA"), ("x", "1")] {
                do {
                    _ = try await scene.ask("things", [(name, value)])
                    Issue.record("\(name)=\(value) is accepted")
                } catch let problem as Problem {
                    #expect(problem.status == 400 && problem.type == "/problems/invalid-parameter")
                    let errors = problem.members.first { $0.0 == "errors" }.map {
                        String(decoding: $0.1, as: UTF8.self)
                    }
                    #expect(errors?.hasPrefix("[{\"parameter\":\"\(name)\"") == true, "\(errors ?? "")")
                }
            }
            let text = try await scene.ask("things", [("note", "'; DELETE FROM things; --")])
            #expect(text.text == #"{"rows":[],"next":null}"#)
            #expect(try await scene.ask("things").text.contains("\"id\":3"))
        }
    }

    @Test func aVersionIsWaitedFor() async throws {
        try await SQLQueryScene.with(["things": SQLQueryScene.things]) { scene in
            let asked = [("id", "1"), ("min_version", "2")]
            await expectProblem("/problems/read-model-behind", 503) { try await scene.ask("things", asked) }
            await expectProblem("/problems/read-model-behind", 503) {
                try await scene.ask("things", [("id", "9"), ("min_version", "1")])
            }
            async let waiting = scene.ask("things", asked, headers: [("Prefer", "wait=99")])
            async let created = scene.ask(
                "things", [("id", "7"), ("min_version", "1")], headers: [("Prefer", "wait=80")])
            try await scene.execute(
                "UPDATE \(scene.tables).things SET version = 3 WHERE id = 1; INSERT INTO \(scene.tables).things VALUES (7, 'k', 1)"
            )
            let (first, second) = try await (waiting, created)
            #expect(first.text.contains(#"{"id":1,"kind":"k1","version":3}"#))
            #expect(first.header("Preference-Applied") == "wait=90")
            #expect(second.text.contains(#""id":7"#) && second.header("Preference-Applied") == "wait=80")
        }
    }

    @Test func anAnswerIsKeptUntilTheReadModelCommits() async throws {
        try await SQLQueryScene.with(["things": "-- @cache 600s\n" + SQLQueryScene.things], cacheBytes: 1 << 20) {
            scene in
            try await eventually { scene.pipeline.freshness(of: ["things"]).asOf != nil }
            let before = try await scene.ask("things").text
            // No projection made this change, so the service does not query again.
            try await scene.execute("UPDATE \(scene.tables).things SET version = 5")
            #expect(try await scene.ask("things").text == before)
            #expect(try await scene.ask("things", [("kind", "k1")]).text.contains("\"version\":5"))
            #expect(try await scene.ask("things", [("id", "1"), ("min_version", "5")]).text.contains("\"version\":5"))
            try await scene.execute("UPDATE projection_offsets SET next_offset = 1, updated_at = clock_timestamp()")
            try await eventually { try await scene.ask("things").text.contains("\"version\":5") }
        }
    }

    @Test func filesAreReadAgainAllOrNone() async throws {
        try await SQLQueryScene.with(["things": SQLQueryScene.things]) { scene in
            #expect(scene.openAPI.contains("\"/v1/q/things\"") && !scene.openAPI.contains("\"/v1/q/more\""))
            try scene.write("more", "-- @reads things\nSELECT 1 AS one")
            try scene.write("things", SQLQueryScene.things.replacing("SELECT id", with: "SELECT idd"))
            let error = await #expect(throws: InvalidFolder.self) { try await scene.queries.load() }
            #expect(
                error?.description.contains("things.sql:7:8: column \"idd\" does not exist") == true, "\(error as Any)")
            await #expect(throws: InvalidFolder.self) { _ = try await scene.queries.prepare() }
            #expect(try await scene.ask("things").status == 200)
            await expectProblem("about:blank", 404) { try await scene.ask("more") }
            try scene.write("things", SQLQueryScene.things)
            let commit = try await scene.queries.prepare()
            await expectProblem("about:blank", 404) { try await scene.ask("more") }
            commit()
            #expect(try await scene.ask("more").text == #"{"rows":[{"one":1}],"more":false}"#)
            #expect(scene.openAPI.contains("\"/v1/q/more\""))
        }
    }

    @Test func aPathGivesParameters() async throws {
        let things = SQLQueryScene.things.replacing(
            "-- @order", with: "-- @path /v1/things/{note}/of/{kind}\n-- @order")
        try await SQLQueryScene.with(["things": things]) { scene in
            let path = try #require(scene.queries.paths.first).path
            #expect(scene.queries.paths.map(\.name) == ["things"])
            let values = [("note", "k/1 %41"), ("kind", "k1")]
            let none = try await scene.ask("things", at: path, values)
            #expect(none.text == #"{"rows":[],"next":null}"#)
            let found = try await scene.ask("things", at: path, [("note", "k1"), ("kind", "k1")])
            #expect(found.text.contains(#""id":1"#) && found.header("ETag") != nil)
            try await scene.execute("INSERT INTO \(scene.tables).things VALUES (8, 'k1', 1)")
            let page = try await scene.ask("things", [("limit", "1")], at: path, [("note", "k1"), ("kind", "k1")])
            #expect(page.header("Link")?.hasPrefix("</v1/things/k1/of/k1?limit=1&cursor=") == true)
            for (query, wrong) in [([], ("kind", "k9")), ([("note", "k1")], ("kind", "k1"))] {
                await expectProblem("/problems/invalid-parameter", 400) {
                    try await scene.ask("things", query, at: path, [("note", "k1"), wrong])
                }
            }
            #expect(
                scene.openAPI.contains(#""/v1/things/{note}/of/{kind}":"#)
                    && scene.openAPI.contains(#"{"name":"note","in":"path","required":true"#))
            // All or nothing: a path that belongs to the service changes no query.
            try scene.write("more", "-- @reads things\n-- @path /v1/orders/more\nSELECT 1 AS one")
            let error = await #expect(throws: InvalidFolder.self) { try await scene.queries.load() }
            #expect(
                error?.description.contains("more.sql:2:10: /v1/orders/more takes requests from /v1/orders/{id}")
                    == true,
                "\(error as Any)")
            await expectProblem("about:blank", 404) { try await scene.ask("more") }
        }
    }

    @Test func aQueryWaitsForItsReadModel() async throws {
        try await SQLQueryScene.with(["things": SQLQueryScene.things, "late": "-- @reads late\nSELECT 1 AS one"]) {
            scene in
            #expect(try await scene.ask("things").status == 200)
            await expectProblem("/problems/database-unavailable", 503) { try await scene.ask("late") }
            try await scene.execute("INSERT INTO sql_projections VALUES ('late', 1, '\(scene.tables)_late', '')")
            try await scene.execute(SQLQueryScene.version("late", 1, .live, in: scene.tables + "_late"))
            try await eventually { await (try? scene.ask("late"))?.status == 200 }
        }
    }

    @Test func theLiveVersionIsReadAndThenTheNextOne() async throws {
        try await SQLQueryScene.with(["things": SQLQueryScene.things]) { scene in
            let next = scene.tables + "_2"
            try await scene.execute(
                """
                CREATE SCHEMA \(next);
                CREATE TABLE \(next).things AS SELECT 42 AS id, 'new' AS kind, 1 AS version;
                INSERT INTO sql_projections VALUES ('things', 2, '\(next)', '');
                \(SQLQueryScene.version("things", 2, .building, in: next))
                """)
            try await scene.queries.load()
            #expect(try await scene.ask("things").text.contains("\"id\":1,"))
            try await scene.execute(
                """
                UPDATE projection_versions SET state = 'superseded' WHERE version = 1;
                UPDATE projection_versions SET state = 'live' WHERE version = 2
                """)
            try await eventually { try await scene.ask("things").text.contains("\"id\":42,") }
            try await scene.execute("DROP SCHEMA \(next) CASCADE")
        }
    }

    @Test func aQueryRunsAsItsRole() async throws {
        let role = "reader_" + String(UInt64.random(in: .min ... .max), radix: 36)
        try await SQLQueryScene.with(["things": SQLQueryScene.things], role: role) { scene in
            try scene.write("secret", "-- @reads things\nSELECT secret FROM secrets")
            let error = await #expect(throws: InvalidFolder.self) { try await scene.queries.load() }
            #expect(error?.description.contains("permission denied for table secrets") == true)
            #expect(try await scene.ask("things").status == 200)
        }
    }
}

/// Queries of a read model `things` in a schema of its own, and the components that answer them.
struct SQLQueryScene {
    static let things = """
        -- @reads things
        -- @param kind enum(k0,k1,k2)
        -- @param id integer
        -- @param note text
        -- @order id
        -- @version version
        SELECT id, kind, version FROM things
        WHERE (:kind IS NULL OR kind = :kind) AND (:id IS NULL OR id = :id) AND (:note IS NULL OR kind = :note)
        """

    let postgres: PostgresConfiguration
    /// The schema of the read model.
    let tables: String
    let folder: String
    let queries: SQLQuerySet
    let reads: SQLQueryReads
    let pipeline: PipelineWatch

    static func with(
        _ files: [String: String], role: String? = nil, cacheBytes: Int = 0,
        _ body: (SQLQueryScene) async throws -> Void
    ) async throws {
        try await TestDatabase.withSchema(migrating: ["projections", "sql-projections"]) { postgres in
            let scene = try SQLQueryScene(postgres, role: role, cacheBytes: cacheBytes)
            defer { try? FileManager.default.removeItem(atPath: scene.folder) }
            for (name, text) in files { try scene.write(name, text) }
            try await scene.execute(scene.script(role))
            let pool = scene.pool
            let result: Result<Void, any Error>
            do {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { await pool.run() }
                    group.addTask { await scene.queries.run {} }
                    group.addTask { await scene.pipeline.run { _ in } }
                    defer { group.cancelAll() }
                    try await scene.queries.load()
                    try await body(scene)
                }
                result = .success(())
            } catch {
                result = .failure(error)
            }
            let end = role.map { "DROP OWNED BY \($0); DROP ROLE \($0)" } ?? ""
            try await scene.execute("DROP SCHEMA \(scene.tables) CASCADE; " + end)
            try result.get()
        }
    }

    private let pool: ReadPool

    private init(_ postgres: PostgresConfiguration, role: String?, cacheBytes: Int) throws {
        self.postgres = postgres
        tables = postgres.schema + "_things"
        folder = NSTemporaryDirectory() + "millrace-queries-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        var configuration = SQLQueryConfiguration()
        configuration.folders = [folder]
        configuration.role = role
        configuration.cacheBytes = cacheBytes
        pool = ReadPool(postgres, ReadPoolConfiguration(), logger: .silent)
        pipeline = PipelineWatch(
            postgres, try TestKafka.clientConfiguration(), of: nil, intervalMs: 50, logger: .silent)
        queries = SQLQuerySet(
            configuration, postgres, besides: ["/v1/orders/{id}"], description: .openAPI(of: [.orderSummary]),
            logger: .silent)
        reads = SQLQueryReads(configuration, queries, pool: pool, pipeline: pipeline, maxWaitSeconds: 90)
    }

    enum VersionState: String { case building, live }

    static func version(_ name: String, _ number: Int, _ state: VersionState, in schema: String) -> String {
        """
        INSERT INTO projection_versions (name, version, schema_name, structure, state)
        VALUES ('\(name)', \(number), '\(schema)', \(number), '\(state)');
        """
    }

    private func script(_ role: String?) -> String {
        """
        CREATE SCHEMA \(tables);
        CREATE TABLE \(tables).things (id int PRIMARY KEY, kind text NOT NULL, version int NOT NULL);
        CREATE TABLE \(tables).secrets (secret text);
        INSERT INTO \(tables).things VALUES (1, 'k1', 1), (2, 'k2', 1), (3, 'k0', 1);
        INSERT INTO sql_projections VALUES ('things', 1, '\(tables)', '');
        \(Self.version("things", 1, .live, in: tables))
        INSERT INTO projections (id, name, version, consumer_group) VALUES (1, 'things', 1, 'g');
        INSERT INTO projection_offsets VALUES (1, 'none', 0, 0, '2026-05-01T10:00:00Z');

        """
            + (role.map {
                """
                CREATE ROLE \($0) NOLOGIN; GRANT USAGE ON SCHEMA \(tables) TO \($0);
                GRANT SELECT ON \(tables).things TO \($0);
                """
            } ?? "")
    }

    func write(_ name: String, _ text: String) throws {
        try text.write(toFile: "\(folder)/\(name).sql", atomically: true, encoding: .utf8)
    }

    func execute(_ script: String) async throws {
        let connection = try await PostgresConnection.connect(postgres)
        try await connection.execute(script: script)
        await connection.close()
    }

    func ask(
        _ name: String, _ query: [(String, String)] = [], headers: [(String, String)] = [], at path: QueryPath? = nil,
        _ values: [(String, String)] = []
    ) async throws -> HTTPResponse {
        try await reads.answer(
            HTTPRequest(
                path: "/any", parameters: values.map { (name: $0.0, value: $0.1) },
                query: query.map { (name: $0.0, value: $0.1) }, headers: headers.map { (name: $0.0, value: $0.1) }),
            name, at: path)
    }

    var openAPI: String { queries.document.response(to: HTTPRequest(path: "/openapi.json")).text }
}

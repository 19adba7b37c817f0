import Postgres
import SQLText
import StreamCore
import TestKit
import Testing
import WireJSON

@testable import SQLQueries

@Suite struct QueryRunTests {
    /// A read model named `things` with 25 rows, and a connection to its database.
    private func withThings(_ body: (PostgresConnection, LiveSchemas) async throws -> Void) async throws {
        try await TestDatabase.withSchema(migrating: ["projections", "sql-projections"]) { configuration in
            let schema = configuration.schema + "_things"
            let connection = try await PostgresConnection.connect(configuration)
            try await connection.execute(
                script: """
                    CREATE SCHEMA \(schema);
                    CREATE TABLE \(schema).things (
                        id int PRIMARY KEY, kind text NOT NULL, price numeric NOT NULL, at timestamptz NOT NULL);
                    INSERT INTO \(schema).things
                    SELECT n, 'k' || n % 3, (n * 7 % 11)::numeric / 4, '2026-05-01'::timestamptz + n % 4 * interval '1 us'
                    FROM generate_series(1, 25) AS n;
                    CREATE FUNCTION \(schema).spoil() RETURNS int LANGUAGE sql AS 'DELETE FROM \(schema).things RETURNING 1';
                    INSERT INTO sql_projections VALUES ('things', 2, '\(schema)', ''), ('things', 3, 'none', '');
                    INSERT INTO projection_versions (name, version, schema_name, structure, state)
                    VALUES ('things', 2, '\(schema)', 2, 'live'), ('things', 3, 'none', 3, 'building');
                    """)
            let result: Result<Void, any Error>
            do {
                result = .success(try await body(connection, LiveSchemas.load(connection)))
            } catch {
                result = .failure(error)
            }
            await connection.close()
            let administrator = try await PostgresConnection.connect(configuration)
            try await administrator.execute(script: "DROP SCHEMA \(schema) CASCADE")
            await administrator.close()
            try result.get()
        }
    }

    private func prepare(
        _ text: String, _ schemas: LiveSchemas, _ connection: PostgresConnection
    ) async throws -> PreparedQuery {
        let query = try QueryFileTests.query(text)
        return try await PreparedQuery(query, schemas: schemas.of(query), role: nil, on: connection)
    }

    private func page(
        _ prepared: PreparedQuery, _ parameters: [(name: String, value: String)], _ connection: PostgresConnection
    ) async throws -> QueryPage {
        let request = try QueryRequest(parameters, of: prepared.query)
        let results = try await connection.pipeline(prepared.statements(for: request))
        return try prepared.page(of: results, for: request)
    }

    @Test(arguments: [
        "id", "id desc", "price, id", "price desc, id desc", "at, price desc, id", "kind desc, at, id",
    ]) func pagesHaveEachRowOnceInOrder(_ order: String) async throws {
        try await withThings { connection, schemas in
            let text = "-- @reads things\n-- @order \(order)\nSELECT id, kind, price, at FROM things"
            let prepared = try await prepare(text, schemas, connection)
            var ids: [String] = []
            var cursor: String?
            repeat {
                let parameters = [("limit", "4")] + (cursor.map { [("cursor", $0)] } ?? [])
                let page = try await page(prepared, parameters, connection)
                ids += try Self.ids(page)
                cursor = page.next
            } while cursor != nil && ids.count < 100
            let all = try await connection.execute(
                .unprepared("SELECT id FROM \(prepared.schemas[0]).things ORDER BY \(order)"))
            #expect(ids == (try (0..<all.rowCount).map { String(try all.int32($0, 0)) }))
        }
    }

    private static func ids(_ page: QueryPage) throws -> [String] {
        String(decoding: page.json, as: UTF8.self).split(separator: "{\"id\":").dropFirst()
            .map { String($0.prefix { $0 != "," && $0 != "}" }) }
    }

    @Test func valuesAreBoundByTheirTypes() async throws {
        try await withThings { connection, schemas in
            let text = """
                -- @reads things@2
                -- @param t text
                -- @param i integer
                -- @param d decimal
                -- @param b boolean
                -- @param day date
                -- @param at timestamp
                -- @param u uuid
                -- @param ids integer[]
                -- @param kinds enum(k0,k1)[]
                -- @version version
                SELECT :t AS t, :i AS i, :d AS d, :b AS b, :day AS day, :at AS at, :u AS u, :ids AS ids, :kinds AS kinds,
                    7 AS version
                """
            let prepared = try await prepare(text, schemas, connection)
            let none = try await page(prepared, [], connection)
            #expect(none.version == 7)
            #expect(
                String(decoding: none.json, as: UTF8.self) == """
                    {"rows":[{"t":null,"i":null,"d":null,"b":null,"day":null,"at":null,"u":null,"ids":null,\
                    "kinds":null,"version":7}],"more":false}
                    """)
            let all = try await page(
                prepared,
                [
                    ("t", "é\"';--"), ("i", "-5"), ("d", "0.10"), ("b", "false"), ("day", "2026-02-28"),
                    ("at", "2026-02-28T01:00:00+01:00"), ("u", "00000000-0000-4000-8000-000000000001"), ("ids", "1"),
                    ("ids", "2"), ("kinds", "k1"),
                ], connection)
            #expect(
                String(decoding: all.json, as: UTF8.self) == """
                    {"rows":[{"t":"é\\"';--","i":-5,"d":0.1,"b":false,"day":"2026-02-28",\
                    "at":"2026-02-28T00:00:00+00:00","u":"00000000-0000-4000-8000-000000000001","ids":[1,2],\
                    "kinds":["k1"],"version":7}],"more":false}
                    """)
        }
    }

    @Test func textOfSQLIsNothingButText() async throws {
        try await withThings { connection, schemas in
            let prepared = try await prepare(
                "-- @reads things\n-- @param kind text[]\n-- @order id\nSELECT id, kind FROM things WHERE kind = ANY (:kind)",
                schemas, connection)
            for text in ["'; DELETE FROM things; --", "k1' OR '1'='1", "{k1}", "\\'; SELECT 1", "$1", ":kind", "NULL"] {
                let found = try await page(prepared, [("kind", text)], connection)
                #expect(String(decoding: found.json, as: UTF8.self) == "{\"rows\":[],\"next\":null}", "\(text)")
            }
            #expect(try Self.ids(await page(prepared, [("kind", "k1")], connection)).count == 9)
        }
    }

    @Test func aForgedKeyIsBoundToo() async throws {
        try await withThings { connection, schemas in
            let prepared = try await prepare(
                "-- @reads things\n-- @order kind, id\nSELECT id, kind FROM things", schemas, connection)
            let arguments: [QueryArgument] = []
            let forged = QueryCursor.text(
                QueryPosition(["'; DELETE FROM things; --", "0"]), of: prepared.query, arguments)
            #expect(try Self.ids(await page(prepared, [("cursor", forged)], connection)).count == 25)
            let wrong = QueryCursor.text(QueryPosition(["k", "no number"]), of: prepared.query, arguments)
            await #expect(throws: PostgresError.self) { try await page(prepared, [("cursor", wrong)], connection) }
        }
    }

    @Test func aQueryOnlyReads() async throws {
        try await withThings { connection, schemas in
            let prepared = try await prepare("-- @reads things\nSELECT spoil() AS n", schemas, connection)
            let error = await #expect(throws: PostgresError.self) { try await page(prepared, [], connection) }
            #expect(error?.sqlState?.code == "25006")
        }
    }

    @Test func aQueryHasATimeLimit() async throws {
        try await withThings { connection, schemas in
            let prepared = try await prepare(
                "-- @reads things\n-- @timeout 50ms\nSELECT pg_sleep(60)::text AS n", schemas, connection)
            let error = await #expect(throws: PostgresError.self) { try await page(prepared, [], connection) }
            #expect(error?.sqlState == .queryCanceled)
        }
    }

    @Test func aNullThatPagesAreOrderedByIsTold() async throws {
        try await withThings { connection, schemas in
            let prepared = try await prepare(
                "-- @reads things\n-- @order n, id\nSELECT id, nullif(id, id) AS n FROM things", schemas, connection)
            let error = await #expect(throws: QueryFailure.self) {
                try await page(prepared, [("limit", "1")], connection)
            }
            #expect(error?.description == "q: n, which pages are ordered by, is NULL in a row")
        }
    }

    @Test(arguments: [
        ("-- @reads things\nSELECT id,\n  pric FROM things", "f/q.sql:3:3: column \"pric\" does not exist"),
        ("-- @reads things\n-- @order no\nSELECT id FROM things", "f/q.sql:1:1: the header names the column no"),
        (
            "-- @reads things\n-- @version id\nSELECT id::text FROM things",
            "f/q.sql:1:1: the version column id is not an integer"
        ),
        ("-- @reads things\nSELECT 1 AS a, 2 AS a", "f/q.sql:2:1: two columns are named a"),
        ("-- @reads things@4\nSELECT 1", "f/q.sql:1:1: the database has no read model things@4"),
        ("-- @reads thing\nSELECT 1", "f/q.sql:1:1: the database has no read model thing"),
    ]) func whatTheDatabaseSaysIsTold(_ text: String, _ expected: String) async throws {
        try await withThings { connection, schemas in
            let error = await #expect(throws: InvalidFolder.self) { try await prepare(text, schemas, connection) }
            #expect(error?.description.hasPrefix(expected) == true, "\(error?.description ?? "")")
        }
    }
}

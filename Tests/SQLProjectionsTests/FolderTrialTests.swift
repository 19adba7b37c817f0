import Postgres
import SQLText
import TestKit
import Testing

@testable import SQLProjections

@Suite struct FolderTrialTests {
    private func trial<Result>(
        _ files: [String: String], _ body: (FolderTrial) async throws -> Result
    ) async throws -> Result {
        let name = "t" + String(UInt64.random(in: .min ... .max), radix: 36)
        var files = FolderTemplate.files(name: name).merging(files) { _, given in given }
        // Files are written at the top level, except for those in the subfolders of cases and queries.
        let cases = files.filter { $0.key.contains("/") }
        for key in cases.keys { files[key] = nil }
        let place = try Folder(files, cases: cases)
        return try await TestDatabase.withSchema(migrating: ["projections", "sql-projections"]) { postgres in
            let connection = try await PostgresConnection.connect(postgres)
            let result: Swift.Result<Result, any Error>
            do {
                result = .success(try await body(FolderTrial(ProjectionFolder(path: place.path), on: connection)))
            } catch {
                result = .failure(error)
            }
            let left = try await connection.execute(
                .unprepared("SELECT 1 FROM pg_namespace WHERE nspname = $1"), Parameters { $0.append(name + "_v1") })
            #expect(left.rowCount == 0, "the trial left its schema")
            await connection.close()
            return try result.get()
        }
    }

    @Test func theFolderToStartFromWorks() async throws {
        try await trial([:]) { trial in
            let tested = try await trial.test()
            #expect(tested.map(\.subject) == ["two-deposits", "queries/\(trial.folder.name)-balance.sql"])
            #expect(!tested.contains { !$0.isGood }, "\(tested)")
            let checked = try await trial.check(count: 50, seed: 1)
            #expect(!checked.contains { !$0.isGood }, "\(checked)")
            #expect(checked.first?.lines.first?.contains("applied twice would count twice") == true)
            let explained = try await trial.explain(copies: 300)
            #expect(explained.map(\.isGood) == [true], "\(explained)")
            #expect(explained.first?.lines.contains { $0.contains("Insert on balances") } == true)
        }
    }

    @Test func aQueryThatCannotRunIsShownWhereItIsWrong() async throws {
        try await trial(["queries/more.sql": "-- @reads nobody\nSELECT 1", "queries/wrong.sql": "SELECT 1"]) { trial in
            let found = try await trial.test()
            #expect(found.map(\.isGood) == [true, false])
            #expect(
                found.last?.lines.first?.contains("queries/wrong.sql:1:1: name the projections") == true, "\(found)")
        }
        try await trial(["queries/more.sql": "-- @reads nobody\nSELECT 1"]) { trial in
            let lines = try await trial.test().last?.lines ?? []
            #expect(
                lines.count == 1 && lines[0].contains("queries/more.sql:1:1: the database has no read model nobody"))
        }
    }

    @Test func whatDiffersIsShownAsADiff() async throws {
        let sample = """
            [[events]]
            type = "MoneyDeposited"
            id = "a"
            payload = '{"amount": 1.10}'
            [[expect]]
            query = "SELECT account, balance, NULL AS x, entries = 1 AS y FROM balances"
            rows = [["a", "1.10", "∅", true], ["b", "0", "∅", true]]
            """
        try await trial(["tests/two-deposits.toml": sample]) { trial in
            let found = try await trial.test()
            #expect(found.map(\.isGood) == [false, true])
            #expect(found[0].lines.dropFirst() == ["  - b | 0 | ∅ | true"])
        }
    }

    /// A case's events meet the policies of their topics.
    @Test func aCaseHasEventsOfTheFoldersTopics() async throws {
        func sample(_ topic: String) -> String {
            "[[events]]\ntype = \"Strange\"\nid = \"a\"\ntopic = \"\(topic)\""
        }
        let toml = """
            [projection]
            name = "two-topics"
            topics = ["account-events", "crm.people"]
            [topics."crm.people"]
            format = "changelog"
            unknown_types = "fail"
            """
        let place = try Folder([
            "projection.toml": toml, "schema.sql": "CREATE TABLE t (id int)", "apply-not.sql": "SELECT 1",
            "tests/a.toml": sample("account-events"), "tests/b.toml": sample("crm.people"),
        ])
        try await TestDatabase.withSchema(migrating: ["projections", "sql-projections"]) { postgres in
            let connection = try await PostgresConnection.connect(postgres)
            let found = try await FolderTrial(ProjectionFolder(path: place.path), on: connection).test()
            await connection.close()
            #expect(found.map(\.isGood) == [true, false])
            #expect(found[1].lines.first?.contains("no statement for the event's type") == true, "\(found)")
        }
        let other = try Folder([
            "projection.toml": toml, "schema.sql": "", "apply.sql": "SELECT 1", "tests/a.toml": sample("crm"),
        ])
        let error = #expect(throws: InvalidFolder.self) {
            try ProjectionCase.all(of: ProjectionFolder(path: other.path))
        }
        #expect(error?.description.hasSuffix("a.toml: events[0].topic: crm is not in projection.topics") == true)
    }

    /// A case's records are read by the mapping of their topic, as in the daemon.
    @Test func aCaseHasRecordsOfTopicsWithTheirOwnMapping() async throws {
        let place = try Folder([
            "projection.toml": """
            [projection]
            name = "mapped"
            topics = ["account-events", "crm.people"]
            [topics."crm.people"]
            format = "changelog"
            type = "=PersonChanged"
            aggregate_type = "=Person"
            aggregate_id = "/id | key"
            sequence = "/version"
            occurred_at = "header:changed | timestamp"
            tombstone_type = "PersonRemoved"
            """,
            "schema.sql": "CREATE TABLE seen (line text)",
            "apply.sql": """
            INSERT INTO seen SELECT concat_ws('|', type, aggregate_type, aggregate_id, sequence,
                to_char(occurred_at AT TIME ZONE 'UTC', 'MM-DD HH24:MI'), payload ->> 'name', topic, "offset") FROM events
            """,
            "tests/people.toml": """
            [[events]]
            topic = "crm.people"
            record = { value = { id = 7, name = "Ann", version = 3 }, timestamp = "2026-06-01T10:00:00Z" }
            [[events]]
            # Our own format has no event for a record without a value.
            record = { key = "a" }
            [[events]]
            topic = "crm.people"
            record = { key = "8", value = '{"name": "Bo"}', headers = { changed = "2026-06-02T10:00:00Z" } }
            [[events]]
            topic = "crm.people"
            record = { key = "7" }
            [[events]]
            type = "PersonChecked"
            aggregate_type = "Person"
            id = "7"
            at = "2026-06-03T10:00:00Z"
            [[expect]]
            query = "SELECT line FROM seen ORDER BY 1"
            rows = [
                ["PersonChanged|Person|7|3|06-01 10:00|Ann|crm.people|0"],
                ["PersonChanged|Person|8|06-02 10:00|Bo|crm.people|2"],
                ["PersonChecked|Person|7|4|06-03 10:00|account-events|4"],
                ["PersonRemoved|Person|7|05-01 00:03|crm.people|3"],
            ]
            """,
        ])
        try await TestDatabase.withSchema(migrating: ["projections", "sql-projections"]) { postgres in
            let connection = try await PostgresConnection.connect(postgres)
            let trial = try FolderTrial(ProjectionFolder(path: place.path), on: connection)
            let tested = try await trial.test()
            let checked = try await trial.check(count: 20, seed: 1)
            await connection.close()
            #expect(tested.map(\.isGood) == [true], "\(tested)")
            #expect(checked.map(\.isGood) == [true], "\(checked)")
        }
    }

    /// A statement that overwrites a value instead of merging it depends on the order of the events.
    @Test func theSmallestSequenceThatDiffersIsShown() async throws {
        let wrong = """
            INSERT INTO balances
            SELECT DISTINCT ON (payload ->> 'customer') payload ->> 'customer', (payload ->> 'amount')::numeric, 1
            FROM events ORDER BY payload ->> 'customer', position DESC
            ON CONFLICT (account) DO UPDATE SET balance = excluded.balance
            """
        let events = (1...6).map { number in
            """
            [[events]]
            type = "MoneyDeposited"
            id = "account-\(number)"
            payload = { customer = "c\(number % 3)", amount = "\(number)" }
            """
        }
        try await trial([
            "MoneyDeposited.sql": wrong, "tests/two-deposits.toml": events.joined(separator: "\n"),
        ]) { trial in
            let found = try await trial.check(count: 50, seed: 1)
            #expect(found.map(\.isGood) == [false])
            let lines = found[0].lines
            // Two events of one customer, in the reverse order.
            #expect(lines.count { $0.contains("events[") } == 2, "\(lines)")
            #expect(
                lines.contains { $0.hasPrefix("  - balances (c") } && lines.contains { $0.hasPrefix("  + balances (c") }
            )
        }
    }

    @Test func aStatementThatReadsAllIsNamed() async throws {
        let slow = """
            UPDATE balances SET entries = entries + 1 WHERE balance IN (SELECT (payload ->> 'amount')::numeric FROM events)
            """
        try await trial([
            "ZLast.sql": slow,
            "tests/two-deposits.toml": """
            [[events]]
            type = "MoneyDeposited"
            id = "a"
            payload = { amount = "1" }
            [[events]]
            type = "ZLast"
            id = "a"
            payload = { amount = "-1" }
            """,
        ]) { trial in
            let found = try await trial.explain(copies: 300)
            #expect(found.map(\.isGood) == [true, false])
            #expect(found[1].lines.last == "  reads all of balances: it has no index for this")
        }
    }

    @Test(arguments: [
        ("events = 1", "events: expected [[events]]"), ("[[expect]]\nquery = \"SELECT 1\"\nrows = []", "no [[events]]"),
        ("[[events]]\ntype = \"A\"", "events[0]: id is required"), ("[[event]]\nid = \"a\"", "event: unknown key"),
        ("[[events]]\ntype = \"A\"\nid = \"a\"\nat = \"now\"", "events[0].at: expected a date and time"),
        ("[[events]]\ntype = \"A\"\nid = \"a\"\npayload = \"{\"", "events[0].payload: is not JSON"),
        ("[[events]]\ntype = \"A\"\nid = \"a\"\nsequense = 1", "events[0]: unknown key sequense"),
        ("[[events]]\ntype = \"A\"\nid = \"a\"\n[[expect]]\nquery = \"SELECT 1\"", "expect[0]: rows is required"),
        ("[[events]]\nrecord = 1", "events[0].record: expected a table"),
        ("[[events]]\nid = \"a\"\nrecord = {}", "events[0]: an event with a record can only set topic as well, not id"),
        ("[[events]]\nrecord = { valeu = {} }", "events[0].record: unknown key valeu; a record has headers, key"),
        ("[[events]]\nrecord = { headers = { a = 1 } }", "events[0].record.headers.a: expected a string"),
        ("[[events]]\nrecord = { timestamp = \"now\" }", "events[0].record.timestamp: expected a date and time"),
        (
            "[[events]]\nrecord = { value = { eventId = \"e\" } }",
            "events[0].record: sql-projection cannot read it: missing_field: the record has no type"
        ), ("[[events]", ":1:"),
    ]) func aCaseThatCannotBeReadIsTold(_ text: String, _ expected: String) async throws {
        let place = try Folder(
            FolderTemplate.files(name: "a").filter { !$0.key.hasPrefix("tests/") },
            cases: [
                "tests/a.toml": text
            ])
        let folder = try ProjectionFolder(path: place.path)
        do throws(InvalidFolder) {
            _ = try ProjectionCase.all(of: folder)
            Issue.record("the invalid case was accepted")
        } catch {
            #expect(error.description.contains(expected), "\(error)")
        }
    }
}

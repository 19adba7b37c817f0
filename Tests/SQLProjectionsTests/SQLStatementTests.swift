import Postgres
import SQLText
import Testing

@testable import SQLProjections

@Suite struct SQLStatementTests {
    private func statements(_ text: String, _ mode: ProjectionMode = .event) throws -> [SQLStatement] {
        try SQLStatement.statements(of: SQLFile(path: "a.sql", text: text), mode: mode)
    }

    private func problem(_ text: String, _ mode: ProjectionMode = .event) -> String? {
        do {
            _ = try statements(text, mode)
            return nil
        } catch {
            return "\(error)"
        }
    }

    @Test func namesBecomeParametersInTheOrderInWhichTheyAreMet() throws {
        let found = try statements(
            "INSERT INTO t VALUES (:aggregate_id, :payload ->> 'a', :aggregate_id, now()::date, '::x :type')")
        #expect(found.map(\.statement.sql) == ["INSERT INTO t VALUES ($1, $2 ->> 'a', $1, now()::date, '::x :type')"])
        #expect(found[0].columns == [.aggregateID, .payload])
    }

    @Test func commentsStringsAndQuotedNamesAreLeftAlone() throws {
        let texts = [
            "/* a /* b ; */ :x */ SELECT 1", "SELECT ':x;''' -- :y ;\n", "SELECT $a$ :x ; $b$ $a$", "SELECT \":x;\"",
            "SELECT E'\\':x;'", "SELECT a[1 : 2]", "SELECT 1e5, 0x1F, $$;$$",
        ]
        for text in texts {
            let found = try statements(text)
            #expect(found.count == 1, "\(text)")
            #expect(found[0].columns.isEmpty, "\(text)")
        }
    }

    @Test func aFileMayHaveSeveralStatements() throws {
        let found = try statements("SELECT 1;\n\nUPDATE t SET a = :version;;", .event)
        #expect(found.map(\.statement.sql) == ["SELECT 1", "UPDATE t SET a = $1"])
        #expect(found[1].place.description == "a.sql:3:1")
    }

    @Test func theRelationEventsComesBeforeOtherRelations() throws {
        let plain = try statements("INSERT INTO t SELECT type FROM events", .batch)[0].statement.sql
        #expect(plain.hasPrefix("WITH events (") && plain.hasSuffix(") INSERT INTO t SELECT type FROM events"))
        let more = try statements("with a AS (SELECT 1) SELECT * FROM a", .batch)[0].statement.sql
        #expect(more.hasPrefix("WITH events (") && more.hasSuffix("), a AS (SELECT 1) SELECT * FROM a"))
        let recursive = try statements("WITH RECURSIVE a AS (SELECT 1) SELECT * FROM a", .batch)[0].statement.sql
        #expect(recursive.hasPrefix("WITH RECURSIVE events ("))
    }

    @Test(arguments: [
        ("DROP TABLE t", "a.sql:1:1: a statement must begin with"), ("SELECT 1;\n  COMMIT", "a.sql:2:3: a statement"),
        ("SELECT :amount", "a.sql:1:8: there is no :amount; an event has :event_id, :type"),
        ("SELECT 'a\n", "a.sql:1:8: this string has no end"), ("SELECT 1 /* a", "a.sql:1:10: this comment has no end"),
        ("SELECT $1", "a.sql:1:8: use the event's values instead"), ("-- nothing\n", "a.sql:1:1: no statement"),
        ("SELECT $x$ a", "a.sql:1:8: this string has no end"), ("SELECT \"a", "a.sql:1:8: this quoted name has no end"),
    ]) func whatCannotBeRunIsRefused(_ text: String, _ expected: String) {
        #expect(problem(text)?.hasPrefix(expected) == true, "\(problem(text) ?? "")")
    }

    @Test func aBatchStatementHasNoParameters() {
        #expect(problem("SELECT :type", .batch)?.hasPrefix("a.sql:1:8: a statement of mode \"batch\"") == true)
        #expect(problem("SELECT $1", .batch)?.hasPrefix("a.sql:1:8: a statement of mode \"batch\"") == true)
        #expect(problem("WITH", .batch) == "a.sql:1:1: expected a query after WITH")
    }
}

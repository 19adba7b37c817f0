import ArgumentParser
import CommandSupport
import Foundation
import Outbox
import Postgres
import StreamCore
import TestKit
import Testing

@testable import RepairCommands

@Suite struct FailedRowsCommandTests {
    private static let url = "postgresql://nobody@127.0.0.1:9/none"

    private func withRows(_ body: (OutboxFailures, PostgresConnection) async throws -> Void) async throws {
        try await TestDatabase.withSchema(migrating: ["outbox"]) { configuration in
            let connection = try await PostgresConnection.connect(configuration)
            try await connection.execute(
                script: """
                    INSERT INTO outbox_failed (id, event_id, event_type, aggregate_type, aggregate_id, sequence,
                        occurred_at, payload, headers, error_class, error, failed_at)
                    VALUES (1, '11111111-1111-4111-8111-111111111111', 'OrderCreated', 'Order', 'o-1', 1, 'infinity',
                        '{"a":1.10}', '[]', 'invalid_headers', 'no object', '2026-03-01T12:00:00Z');
                    INSERT INTO outbox_failed (id, source_id, topic, key, original, error_class, error, failed_at)
                    VALUES (7, 'a-7', 'no' || chr(27) || 'topic', 'k', '{"id":7}', 'invalid_topic', 'no',
                        '2026-03-01T12:00:00Z')
                    """)
            try await body(OutboxFailures(), connection)
            await connection.close()
        }
    }

    @Test func theListShowsWhatWaits() async throws {
        try await withRows { failures, connection in
            let rows = try await failures.list(on: connection)
            let now = try #require(Timestamp("2026-03-01T12:01:05Z"))
            #expect(
                ListFailedRows.table(rows, now: now) == """
                    ROW  AGE    STATE   CLASS            AGGREGATE  KEY  EVENT         MESSAGE
                    1    1m 5s  failed  invalid_headers  Order      o-1  OrderCreated  no object
                    7    1m 5s  failed  invalid_topic    -          k    -             no
                    """)
            let json = JSONText.line(FailedRowJSON.Page(rows: rows.map { .init($0) }, next: nil))
            #expect(json.contains(#""eventId":"11111111-1111-4111-8111-111111111111""#))
            #expect(json.contains(#""eventId":"a-7","failedAt":"2026-03-01T12:00:00.000000Z","key":"k","row":7"#))
            var chosen = OutboxFailures.Filter()
            chosen.key = "o-1"
            #expect(try await failures.list(chosen, on: connection).map(\.id) == [1])
            chosen.errorClass = "invalid_topic"
            #expect(try await failures.list(chosen, on: connection).isEmpty)
            #expect(try await failures.list(after: 1, limit: 1, on: connection).map(\.id) == [7])
        }
    }

    @Test func theShownRowHasAllThatAnOperatorAsksFor() async throws {
        try await withRows { failures, connection in
            let now = try #require(Timestamp("2026-03-01T12:01:05Z"))
            let typed = FailedRowText(try #require(try await failures.show(1, on: connection)), now: now).text
            for part in [
                "row         1", "state       failed; later rows of its key wait",
                "error       invalid_headers: no object", "since       2026-03-01 12:00:00 (1m 5s ago)",
                "aggregate   Order o-1", "occurred at infinity", "payload\n  {\n    \"a\": 1.10\n  }",
            ] { #expect(typed.contains(part), "\(part) is not in \(typed)") }
            let whole = FailedRowText(try #require(try await failures.show(7, on: connection)), now: now).text
            #expect(whole.contains("the whole row\n  {\n    \"id\": 7\n  }"))
            #expect(whole.contains("event id    a-7"))
            #expect(!whole.contains("\u{1B}"), "escape characters are not printed")
            #expect(try await failures.show(2, on: connection) == nil)
        }
    }

    @Test func aChangeIsShownThenDoneAndWrittenDown() async throws {
        try await withRows { failures, connection in
            let audit = Audit(actor: "mara", reason: "not needed")
            #expect(try await failures.matching(.discard, .init(), on: connection) == [1, 7])
            #expect(try await failures.list(on: connection).count == 2, "a preview changes nothing")
            #expect(try await failures.change(.discard, .init(ids: [7, 8]), by: audit, on: connection) == [7])
            #expect(try await failures.change(.discard, .init(ids: [7]), by: audit, on: connection) == [])
            let detail = try #require(try await failures.show(7, on: connection))
            #expect(detail.row.discarded?.actor == "mara" && detail.row.discarded?.reason == "not needed")
            #expect(detail.history.map(\.action) == ["discard"])
            #expect(FailedRowText(detail, now: detail.row.failedAt).text.contains("mara  discard: not needed"))
            let open = try await failures.matching(.retry, .init(), on: connection)
            #expect(open == [1], "the discarded row is not retried")
            let named = try await failures.matching(.retry, .init(ids: [7]), on: connection)
            #expect(named == [7], "a discarded row is retried if it is named")
        }
    }

    /// A change is made completely or not at all.
    @Test func aRetryThatFailsChangesNothing() async throws {
        try await withRows { failures, connection in
            // The row is valid JSON, but it lacks everything that the outbox requires.
            let audit = Audit(actor: "mara", reason: "try")
            _ = try await #require(throws: PostgresError.self) {
                try await failures.change(.retry, OutboxFailures.Filter(), by: audit, on: connection)
            }
            let rows = try await failures.list(on: connection)
            #expect(rows.map(\.id) == [1, 7])
            let history = try await failures.history(of: 1, on: connection)
            #expect(history.isEmpty)
        }
    }

    @Test func reportsOfWhatWasDone() {
        let done = FailedRowReport(change: .retry, rows: [1, 7], missing: [9], isDone: true)
        #expect(done.text == "put back into the outbox: 2 rows\n  no such row, or discarded already: 9")
        #expect(done.json == #"{"action":"retry","executed":true,"missing":[9],"rows":[1,7]}"#)
        let dry = FailedRowReport(change: .discard, rows: [1], missing: [], isDone: false)
        #expect(dry.text.hasPrefix("would discard 1 row\ndry run: nothing was changed."))
    }

    @Test(arguments: [
        ["retry"], ["retry", "1", "--all"], ["retry", "1", "--execute"], ["list", "--limit", "0"], ["show"],
    ])
    func wrongUse(_ arguments: [String]) {
        #expect(throws: (any Error).self) {
            try FailedRowsCommand.parseAsRoot(arguments + ["--database", Self.url])
        }
    }
}

import ArgumentParser
import CommandSupport
import Postgres
import Projections
import StreamCore
import TestKit
import Testing

@testable import ProjectionCommands

@Suite struct BreakerCommandTests {
    private func withBreakers(_ body: (PostgresConnection) async throws -> Void) async throws {
        try await TestDatabase.withSchema(migrating: ["projections"]) { configuration in
            let connection = try await PostgresConnection.connect(configuration)
            try await connection.execute(
                script: """
                    INSERT INTO projections (id, name, version, consumer_group) VALUES (1, 'orders', 2, 'g');
                    INSERT INTO circuit_breakers
                        (projection_id, topic, partition, error_class, event_type, failures, opened_at)
                    VALUES (1, 'order-events', 3, 'missing_field', 'ItemAdded', 50, '2026-03-01T12:00:00Z'),
                        (1, 'order-events', 3, '', '', 50, '2026-03-01T12:00:00Z'),
                        (1, 'order-events', 4, 'missing_field', 'ItemAdded', 49, NULL),
                        (1, 'order-events', 5, 'sql_23514', 'no' || chr(27) || 'type', 1200, '2026-03-01T12:00:00Z')
                    """)
            try await body(connection)
            await connection.close()
        }
    }

    @Test func theListShowsWhatIsOpen() async throws {
        try await withBreakers { connection in
            let report = BreakerReport(try await OpenCircuitBreakers().list(on: connection))
            let now = try #require(Timestamp("2026-03-01T12:01:05Z"))
            #expect(
                report.table(now: now) == """
                    PROJECTION  PARTITION        CLASS          TYPE        FAILURES  OPEN FOR
                    orders v2   order-events[3]  any            any         50        1m 5s
                    orders v2   order-events[3]  missing_field  ItemAdded   50        1m 5s
                    orders v2   order-events[5]  sql_23514      no\\x1Btype  1,200     1m 5s
                    """)
            let json = JSONText.line(report.objects[1])
            #expect(
                json == #"{"errorClass":"missing_field","eventType":"ItemAdded","failures":50,"#
                    + #""openedAt":"2026-03-01T12:00:00.000000Z","partition":3,"projection":"orders","#
                    + #""topic":"order-events","version":2}"#)
        }
    }

    @Test func aReleaseIsShownThenDoneAndWrittenDown() async throws {
        try await withBreakers { connection in
            let breakers = OpenCircuitBreakers()
            var filter = OpenCircuitBreakers.Filter()
            filter.topic = "order-events"
            filter.partition = 3
            let now = try #require(Timestamp("2026-03-01T12:01:05Z"))
            let matching = try await breakers.list(filter, on: connection)
            let dry = ReleasedBreakers(matching, isDone: false, now: now).text
            #expect(dry.hasPrefix("would release 1 partition\n"))
            #expect(dry.hasSuffix("dry run: nothing was changed. Add --execute --reason \"why\" to do it."))
            let audit = Audit(actor: "mara", reason: "bad events")
            #expect(try await breakers.release(filter, by: audit, on: connection) == matching)
            #expect(try await breakers.release(filter, by: audit, on: connection) == [])
            #expect(try await breakers.list(on: connection).map(\.partition.partition) == [5])
            let left = try await connection.execute("SELECT count(*) FROM circuit_breakers").int64(0, 0)
            #expect(left == 2, "a closed circuit breaker is not changed")
            let noted = try await connection.execute(
                """
                SELECT released_by || ' ' || reason || ' ' || failures FROM circuit_breaker_releases
                WHERE event_type = 'ItemAdded' AND topic = 'order-events' AND partition = 3
                """)
            #expect(noted.rowCount == 1)
            #expect(try noted.string(0, 0) == "mara bad events 50")
        }
    }

    @Test(arguments: [
        ["release"], ["release", "--all", "--projection", "orders"], ["release", "--all", "--execute"],
        ["list", "--partition", "3"],
    ])
    func wrongUse(_ arguments: [String]) {
        #expect(throws: (any Error).self) {
            try BreakersCommand.parseAsRoot(arguments + ["--database", "postgresql://nobody@127.0.0.1:9/none"])
        }
    }
}

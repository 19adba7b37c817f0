import Postgres
import TestKit
import Testing

@testable import Outbox

/// The size of a page is limited before its rows are read.
@Suite struct PageTests {
    private static let target = 64 << 10

    /// Small rows, and large rows of three kinds: they compress very little, compress very well, or have large headers.
    private static let rows = """
        INSERT INTO outbox (event_type, aggregate_type, aggregate_id, sequence, payload, headers)
        SELECT 'Tested', 't', 'small', number, json_build_object('n', repeat('x', 200)), NULL::json
            FROM generate_series(1, 3000) AS number
        UNION ALL
        SELECT 'Tested', 't', 'random', number, (
            SELECT json_agg(md5(n::text || number)) FROM generate_series(1, 6000) AS n), NULL
            FROM generate_series(1, 20) AS number
        UNION ALL
        SELECT 'Tested', 't', 'even', number, json_build_object('n', repeat('x', 900000)), NULL
            FROM generate_series(1, 40) AS number
        UNION ALL
        SELECT 'Tested', 't', 'mixed', number,
            json_build_object('n', repeat('x', CASE WHEN number % 7 = 0 THEN 300000 ELSE 100 END)),
            CASE WHEN number % 11 = 0 THEN json_build_object('h', repeat('y', 300000)) END
            FROM generate_series(1, 300) AS number
        """

    @Test(arguments: [OutboxRelayConfiguration.Layout.millrace, .debezium(DebeziumLayout())])
    func eachRowComesOnceAndNoPageIsTooLarge(layout: OutboxRelayConfiguration.Layout) async throws {
        try await TestDatabase.withSchema(migrating: ["outbox"]) { postgres in
            var configuration = OutboxRelayConfiguration()
            configuration.layout = layout
            configuration.pageBytes = Self.target
            let service = try await Service(postgres)
            try await service.connection.execute(script: Self.rows)
            if case .debezium = layout {
                configuration.table = "outboxevent"
                try await service.connection.execute(
                    script: """
                        CREATE TABLE outboxevent AS SELECT event_id AS id, aggregate_type AS aggregatetype,
                            aggregate_id AS aggregateid, event_type AS type,
                            coalesce(headers, payload)::jsonb AS payload, id AS millrace_position FROM outbox;
                        CREATE UNIQUE INDEX ON outboxevent (millrace_position)
                        """)
            }
            let all = try await readAll(configuration, service.connection)
            #expect(all == Array(1...3_360))
        }
    }

    private func readAll(
        _ configuration: OutboxRelayConfiguration, _ connection: PostgresConnection
    ) async throws -> [Int64] {
        let layout = RowLayout(configuration, types: ["payload": "jsonb"])
        let statements = OutboxStatements(configuration, layout: layout, shard: 0)
        var cursor = ScanCursor()
        var sizing = PageSizing(maximumRows: 1_000, targetBytes: configuration.pageBytes)
        var ids: [Int64] = []
        while true {
            let request = cursor.nextRequest(limit: sizing.rows, rowBytes: sizing.rowBytes)
            let (statement, parameters) = statements.query(for: request)
            let result = try await connection.execute(statement, parameters)
            var bytes = 0
            for row in 0..<result.rowCount {
                for column in RowColumn.allCases { bytes += result.bytes(row, column.rawValue).count }
            }
            let page = try Page(request, result, duration: .zero)
            #expect(bytes <= PageSizing.overrun * Self.target + 200 * result.rowCount || result.rowCount == 1)
            let isCurrent = cursor.take(page.ids, isFull: page.isFull, of: request)
            #expect(isCurrent)
            for (index, _) in page.ids.enumerated() {
                #expect(!page.result.isNull(index, RowColumn.payload.rawValue), "a row that is sent has its payload")
            }
            ids += page.ids
            if !page.isFull { return ids }
            sizing.read(rows: page.ids.count, bytes: page.bytes)
            if let size = page.tooLarge { sizing.met(tooLarge: size) }
        }
    }
}

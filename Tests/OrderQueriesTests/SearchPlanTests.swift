import Foundation
import Orders
import Postgres
import StreamCore
import TestKit
import Testing

@testable import OrderQueries

/// Tests how many rows PostgreSQL reads to find a page, on a table of many orders with the same amount.
@Suite struct SearchPlanTests {
    private static let rows = 200_000
    /// The limit for a page of eleven orders, with statuses that at least every fourth order has.
    private static let mostVisited = 1_500

    private static let times = ["2026-01-01T00:00:00Z", "2026-12-31T00:00:00Z"]
    private static let fewTimes = ["2026-02-01T00:00:00Z", "2026-02-01T00:02:00Z"]
    private static let noTimes = ["2026-12-30T00:00:00Z", "2026-12-31T00:00:00Z"]

    @Test func everyPageStopsEarly() async throws {
        try await TestDatabase.withSchema(migrating: OrderScene.sets) { postgres in
            let connection = try await PostgresConnection.connect(ReadPoolConfiguration().session(postgres))
            try await fill(postgres)
            var (tried, worst) = (0, 0)
            for search in try Self.searches() {
                let visited = try await visited(by: search, on: connection)
                #expect(visited <= Self.mostVisited, "\(search.filter) behind \(String(describing: search.position))")
                tried += 1
                worst = max(worst, visited)
            }
            #expect(tried == 1_280 && worst >= 11, "\(tried) searches read \(worst) rows at most")
            await connection.close()
        }
    }

    private func fill(_ postgres: PostgresConfiguration) async throws {
        let connection = try await PostgresConnection.connect(postgres)
        try await connection.execute(
            script: """
                INSERT INTO order_summary_rows (order_id, version, updated_at, last_event_id, items, item_count,
                    total_amount, created, delivered, paid, cancelled)
                SELECT 'order-' || lpad(i::text, 6, '0'), 1, t, gen_random_uuid(), '[]', 1, 5,
                    ROW(t, gen_random_uuid(), CASE WHEN i % 2 = 0 THEN 'large' ELSE 'c-' || i % 1000 END, 'EUR',
                        NULL)::order_summary_created,
                    CASE WHEN i % 4 = 0 OR i % 4 = 3 THEN ROW(t, gen_random_uuid(), 's')::order_summary_delivered END,
                    CASE WHEN i % 8 < 4 THEN ROW(t, gen_random_uuid(), 'p', 5, 'EUR', 'card')::order_summary_payment END,
                    CASE WHEN i % 8 > 5 THEN ROW(t, gen_random_uuid(), 'r', 'c')::order_summary_cancelled END
                FROM (SELECT i, '2026-02-01T00:00:00Z'::timestamptz + i * interval '1 second' AS t
                    FROM generate_series(1, \(Self.rows)) AS i) AS s;
                -- Orders of which nothing but a payment is known are in no list, and in nobody's way.
                INSERT INTO order_summary_rows (order_id, version, updated_at, last_event_id, paid)
                SELECT 'early-' || i, 0, now(), gen_random_uuid(),
                    ROW(now(), gen_random_uuid(), 'p', 5, 'EUR', 'card')::order_summary_payment
                FROM generate_series(1, 20000) AS i;
                ANALYZE order_summary_rows;
                """)
        await connection.close()
    }

    /// Every combination of filters and sorts, for the first page and for one in the middle.
    private static func searches() throws -> [OrderSearch] {
        var searches: [OrderSearch] = []
        for customer in [nil, "large"] {
            for statuses in [[], [OrderStatus.paid], [.delivered], [.paid, .delivered]] {
                for amounts in [[nil, nil], ["5", nil], [nil, "5"], ["4", "6"], ["6", "7"]] as [[String?]] {
                    for range in [nil, times, fewTimes, noTimes] as [[String]?] {
                        for sort in OrderSort.allCases {
                            for isFirst in [true, false] {
                                var search = try OrderSearch([])
                                search.limit = 10
                                search.filter = OrderFilter(
                                    customer: customer, statuses: statuses, minAmount: amounts[0],
                                    maxAmount: amounts[1], from: range.flatMap { Timestamp($0[0]) },
                                    to: range.flatMap { Timestamp($0[1]) }, sort: sort)
                                if !isFirst { search.position = middle(of: sort) }
                                searches.append(search)
                            }
                        }
                    }
                }
            }
        }
        return searches
    }

    private static func middle(of sort: OrderSort) -> PagePosition {
        guard sort.isByTime, let time = Timestamp("2026-02-02T03:46:40Z") else {
            return PagePosition(.amount("5"), "order-100000")
        }
        return PagePosition(.time(time), "order-100000")
    }

    // MARK: plans

    /// The number of rows and index entries that the page's statement reads. It is planned as in the service.
    private func visited(by search: OrderSearch, on connection: PostgresConnection) async throws -> Int {
        let made = try SearchStatement(search)
        let page = made.statements[made.pageIndex].0
        var script = "BEGIN;"
        // If the statement must be planned for each execution, an earlier statement sets this.
        for statement in made.statements[..<made.pageIndex] { script += statement.0.sql + ";" }
        try await connection.execute(script: script + "PREPARE page AS \(page.sql)")
        let plan = try await connection.execute(
            .unprepared("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) EXECUTE page\(Self.values(of: search))")
        ).string(0, 0)
        try await connection.execute(script: "COMMIT; DEALLOCATE page")
        let json = try #require(
            try JSONSerialization.jsonObject(with: Data(plan.utf8)) as? [[String: Any]])
        return Self.visited(try #require(json.first?["Plan"] as? [String: Any]))
    }

    private static func visited(_ node: [String: Any]) -> Int {
        var count = 0
        if let type = node["Node Type"] as? String, type.contains("Scan"), type != "CTE Scan" {
            let loops = node["Actual Loops"] as? Int ?? 1
            for key in ["Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck"] {
                count += (node[key] as? Int ?? 0) * loops
            }
        }
        return (node["Plans"] as? [[String: Any]] ?? []).reduce(count) { $0 + visited($1) }
    }

    /// The statement's parameters in their order, as SQL text.
    private static func values(of search: OrderSearch) -> String {
        let filter = search.filter
        var values: [String] = []
        if let customer = filter.customer { values.append("'\(customer)'") }
        if !filter.statuses.isEmpty {
            values.append("ARRAY[\(filter.statuses.map { "'\($0.rawValue)'" }.joined(separator: ", "))]")
        }
        values += [filter.minAmount, filter.maxAmount].compactMap(\.self)
        values += [filter.from, filter.to].compactMap { $0.map { "'\($0)'" } }
        switch search.position?.key {
        case .time(let time)?: values.append("'\(time)'")
        case .amount(let digits)?: values.append(digits)
        case nil: break
        }
        if let position = search.position { values.append("'\(position.orderID)'") }
        return values.isEmpty ? "" : "(\(values.joined(separator: ", ")))"
    }
}

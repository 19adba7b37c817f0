internal import Events
internal import Orders
internal import Postgres
internal import StreamCore

/// One of the dashboard's views: which columns are compared, and which rows a tally expects.
struct DashboardView: Sendable {
    let name: String
    /// The key columns, as SQL expressions of type text.
    let keys: [String]
    /// The other columns: their names, and SQL expressions of type text.
    let columns: [(name: String, query: String)]
    /// The expected rows by the texts of their keys.
    let rows: @Sendable (DashboardTally, Horizons) throws -> [[String]: [String?]]

    /// The time from which each resolution keeps its rows. A resolution that is missing here keeps all rows.
    typealias Horizons = [String: Timestamp]

    private init(
        _ name: String, keys: [String], _ columns: [(String, String)],
        rows: @escaping @Sendable (DashboardTally, Horizons) throws -> [[String]: [String?]]
    ) {
        self.name = name
        self.keys = keys
        self.columns = columns.map { (name: $0.0, query: $0.1) }
        self.rows = rows
    }

    static let all = [counters, statuses, products, customers, durations]

    private static func count(_ name: String) -> (String, String) { (name, "\(name)::text") }
    private static func amount(_ name: String) -> (String, String) { (name, SummaryColumns.number(name)) }
    private static func text(_ amount: DecimalAmount) -> String { amount.normalized.description }
    private static func text(day: Int32) -> String {
        String(Timestamp(microseconds: Int64(day) * 86_400_000_000).description.prefix(10))
    }

    private static let counters = DashboardView(
        "dashboard_counters", keys: ["resolution", SummaryColumns.time("bucket"), "currency"],
        [
            count("orders_created"), count("orders_confirmed"), count("orders_paid"), count("orders_delivered"),
            count("orders_cancelled"), count("payments_completed"), count("payments_failed"),
            count("payments_refunded"), amount("revenue"), amount("refunds"),
        ]
    ) { tally, horizons in
        var rows: [[String]: [String?]] = [:]
        let widths: [(String, Int64)] = [("minute", 60_000_000), ("hour", 3_600_000_000), ("day", 86_400_000_000)]
        for (resolution, width) in widths {
            var buckets: [DashboardTally.BucketKey: DashboardTally.Happenings] = [:]
            for (key, happenings) in tally.minutes {
                let start = DashboardTally.start(of: Timestamp(microseconds: key.start), width)
                if let kept = horizons[resolution], start < kept.microseconds { continue }
                let bucket = DashboardTally.BucketKey(start: start, currency: key.currency)
                try buckets[bucket, default: DashboardTally.Happenings()].add(happenings)
            }
            for (bucket, n) in buckets {
                let key = [resolution, Timestamp(microseconds: bucket.start).description, bucket.currency]
                let counts = [
                    n.created, n.confirmed, n.paid, n.delivered, n.cancelled, n.completed, n.failed, n.refunded,
                ]
                rows[key] = counts.map { String($0) } + [text(n.revenue), text(n.refunds)]
            }
        }
        return rows
    }

    private static let statuses = DashboardView("dashboard_statuses", keys: ["status"], [count("orders")]) {
        tally, _ in
        Dictionary(uniqueKeysWithValues: tally.statuses.map { ([$0.key], [String($0.value)]) })
    }

    private static let products = DashboardView(
        "dashboard_products", keys: ["day::text", "currency", "product_id"],
        [("name", "name"), count("units"), amount("revenue")]
    ) { tally, _ in
        Dictionary(
            uniqueKeysWithValues: tally.products.map { key, product in
                (
                    [text(day: key.day), key.currency, key.product.text],
                    [product.name.text, String(product.units), text(product.revenue)]
                )
            })
    }

    private static let customers = DashboardView(
        "dashboard_customers", keys: ["customer_id", "currency"],
        [
            count("orders"), count("cancelled"), amount("spent"), amount("refunded"),
            ("last_order_at", SummaryColumns.time("last_order_at")),
        ]
    ) { tally, _ in
        Dictionary(
            uniqueKeysWithValues: tally.customers.map { key, customer in
                (
                    [key.customer.text, key.currency],
                    [
                        String(customer.orders), String(customer.cancelled), text(customer.spent),
                        text(customer.refunded), customer.lastOrderAt?.description,
                    ]
                )
            })
    }

    private static let durations = DashboardView(
        "dashboard_durations", keys: ["day::text", "step", "at_least_ms::text"],
        [count("below_ms"), count("orders")]
    ) { tally, _ in
        Dictionary(
            uniqueKeysWithValues: tally.bins.map { key, orders in
                ([text(day: key.day), key.step, String(key.atLeastMs)], [String(key.belowMs), String(orders)])
            })
    }
}

extension DashboardView {
    /// Compares the view with a tally, row by row.
    func compare(
        _ tally: DashboardTally, _ horizons: Horizons, in transaction: PostgresTransaction, exampleLimit: Int
    ) async throws -> Verdict.Comparison {
        var comparison = Verdict.Comparison(name: name)
        var expected: [ExactText: [String?]] = [:]
        for (key, values) in try rows(tally, horizons) { expected[Self.joined(key)] = values }
        let list = (keys + columns.map(\.query)).joined(separator: ", ")
        try await transaction.execute(
            script: "DECLARE verify_\(name) NO SCROLL CURSOR FOR SELECT \(list) FROM \(name)")
        let fetch = Statement.unprepared("FETCH \(SortedRows.pageRows) FROM verify_\(name)")
        while case let page = try await transaction.execute(fetch), page.rowCount > 0 {
            for row in 0..<page.rowCount {
                let key = Self.joined(try (0..<keys.count).map { try page.string(row, $0) })
                let actual = try columns.indices.map { try page.optionalString(row, keys.count + $0) }
                let problems = expected.removeValue(forKey: key).map {
                    Verdict.Difference.Problem.columns(columns.map(\.name), expected: $0, actual: actual)
                }
                comparison.note(Self.shown(key), problems ?? [.unexpected], limit: exampleLimit)
            }
        }
        for key in expected.keys.sorted() { comparison.note(Self.shown(key), [.missing], limit: exampleLimit) }
        return comparison
    }

    private static func joined(_ key: [String]) -> ExactText { ExactText(key.joined(separator: "\u{1F}")) }
    private static func shown(_ key: ExactText) -> String { key.text.replacing("\u{1F}", with: " ") }
}

extension Verdict.Difference.Problem {
    /// The columns whose texts differ in any byte.
    static func columns(_ names: [String], expected: [String?], actual: [String?]) -> [Self] {
        names.indices.compactMap { index in
            let (left, right) = (expected[index], actual[index])
            if left.map(ExactText.init) == right.map(ExactText.init) { return nil }
            return .column(names[index], expected: left, actual: right)
        }
    }
}

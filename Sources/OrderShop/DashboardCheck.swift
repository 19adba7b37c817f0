public import Postgres

/// Counts in the write model what the dashboard's views must say, and compares the two row by row.
///
/// Both sides are read in order through cursors, so that any number of rows is compared in little memory. They may be
/// in different databases. While something writes, a difference can be one that the projection has not reached yet:
/// stop the load first, or say how long to wait.
public struct DashboardCheck: Sendable {
    /// What was found in one view.
    public struct View: Hashable, Sendable {
        public let name: String
        /// Rows that the write model says.
        public fileprivate(set) var checked = 0
        /// Rows that the view lacks.
        public fileprivate(set) var missing = 0
        /// Rows that only the view has. A row with a wrong number is both.
        public fileprivate(set) var extra = 0
        /// The first of them, as JSON.
        public fileprivate(set) var missingExamples: [String] = []
        public fileprivate(set) var extraExamples: [String] = []

        /// Whether the view is what the write model says.
        public var isEqual: Bool { missing == 0 && extra == 0 }
    }

    private let writeModel: PostgresConfiguration
    private let readModel: PostgresConfiguration
    private let exampleLimit: Int

    private static let pageRows = 5_000
    /// How long to leave the projection alone before all is looked at again.
    private static let patience: Duration = .milliseconds(250)

    /// - Parameters:
    ///   - writeModel: where `orders`, `order_items`, `payments` and `shipments` are.
    ///   - readModel: where the views `dashboard_*` are.
    ///   - exampleLimit: how many rows of each kind and view are kept; all are counted.
    public init(writeModel: PostgresConfiguration, readModel: PostgresConfiguration, exampleLimit: Int = 10) {
        self.writeModel = writeModel
        self.readModel = readModel
        self.exampleLimit = exampleLimit
    }

    /// Compares.
    ///
    /// - Parameter wait: how long, in all, to look again while something differs, for the projection to catch up.
    /// - Returns: one element a view; nil when the read model's schema has no dashboard.
    /// - Throws: `PostgresError`.
    public func run(waitingUpTo wait: Duration = .zero) async throws -> [View]? {
        let deadline = ContinuousClock.now + wait
        let writing = try await PostgresConnection.connect(writeModel)
        let reading: PostgresConnection
        do {
            reading = try await PostgresConnection.connect(readModel)
        } catch {
            await writing.close()
            throw error
        }
        let result: Result<[View]?, any Error>
        do {
            var views = try await compare(writing, reading)
            while let found = views, !found.allSatisfy(\.isEqual), .now < deadline {
                try await Task.sleep(for: Self.patience)
                views = try await compare(writing, reading)
            }
            result = .success(views)
        } catch {
            result = .failure(error)
        }
        await writing.close()
        await reading.close()
        return try result.get()
    }

    private func compare(_ writing: PostgresConnection, _ reading: PostgresConnection) async throws -> [View]? {
        try await reading.withTransaction { actual in
            try await actual.execute(script: Self.snapshot)
            let isThere = try await actual.execute("SELECT to_regclass('dashboard_counters') IS NOT NULL")
            guard try isThere.bool(0, 0) else { return nil }
            let kept = try await Self.keptBuckets(actual)
            // The read model's snapshot is the older one: what it has, the write model has as well.
            return try await writing.withTransaction { expected in
                try await expected.execute(script: Self.snapshot)
                var views: [View] = []
                for expectation in DashboardExpectation.all {
                    let condition = expectation.view == "dashboard_counters" ? kept : "true"
                    var (left, right) = (
                        SortedRows(try await Self.open(expectation, expectation.rows, condition, expected), expected),
                        SortedRows(
                            try await Self.open(expectation, "TABLE \(expectation.view)", "true", actual), actual)
                    )
                    views.append(try await merge(expectation.view, &left, &right))
                }
                return views
            }
        }
    }

    /// One moment for all that is read, and the same texts of times everywhere.
    private static let snapshot = """
        SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL TimeZone = 'UTC';
        SET LOCAL DateStyle = 'ISO'
        """

    /// The condition of those buckets that have not been dropped with age.
    private static func keptBuckets(_ transaction: PostgresTransaction) async throws -> String {
        let rows = try await transaction.execute(
            """
            SELECT format('(resolution = %L AND bucket >= %L)', resolution, kept_from)
            FROM dashboard_horizons
            """)
        var conditions = ["resolution = 'day'"]
        for row in 0..<rows.rowCount { conditions.append(try rows.string(row, 0)) }
        return conditions.joined(separator: " OR ")
    }

    private static func open(
        _ expectation: DashboardExpectation, _ rows: String, _ condition: String, _ transaction: PostgresTransaction
    ) async throws -> String {
        let columns = expectation.columns.map {
            expectation.amounts.contains($0) ? "trim_scale(\($0)) AS \($0)" : $0
        }.joined(separator: ", ")
        let cursor = "\(expectation.view)_rows"
        try await transaction.execute(
            script: """
                DECLARE \(cursor) NO SCROLL CURSOR FOR
                SELECT to_jsonb(n)::text COLLATE "C" AS row FROM (
                    SELECT \(columns) FROM (\(rows)) AS r (\(expectation.columns.joined(separator: ", ")))
                    WHERE \(condition)
                ) AS n ORDER BY 1
                """)
        return cursor
    }

    private func merge(
        _ name: String, _ expected: inout SortedRows, _ actual: inout SortedRows
    ) async throws -> View {
        var view = View(name: name)
        var (left, right) = (try await expected.next(), try await actual.next())
        while left != nil || right != nil {
            if let row = left, right.map({ Self.precedes(row, $0) }) ?? true {
                view.checked += 1
                view.missing += 1
                if view.missingExamples.count < exampleLimit { view.missingExamples.append(row) }
                left = try await expected.next()
            } else if let row = right, left.map({ Self.precedes(row, $0) }) ?? true {
                view.extra += 1
                if view.extraExamples.count < exampleLimit { view.extraExamples.append(row) }
                right = try await actual.next()
            } else {
                view.checked += 1
                (left, right) = (try await expected.next(), try await actual.next())
            }
        }
        return view
    }

    /// As the collation "C" compares.
    private static func precedes(_ left: String, _ right: String) -> Bool {
        left.utf8.lexicographicallyPrecedes(right.utf8)
    }

    /// The rows of a cursor, fetched in pages.
    private struct SortedRows {
        private let transaction: PostgresTransaction
        private let fetch: Statement
        private var page: QueryResult?
        private var row = 0
        private var isAtEnd = false

        init(_ cursor: String, _ transaction: PostgresTransaction) {
            self.transaction = transaction
            fetch = .unprepared("FETCH \(DashboardCheck.pageRows) FROM \(cursor)")
        }

        mutating func next() async throws -> String? {
            if isAtEnd { return nil }
            if page.map({ row == $0.rowCount }) ?? true {
                page = try await transaction.execute(fetch)
                row = 0
            }
            guard let page, row < page.rowCount else {
                isAtEnd = true
                return nil
            }
            row += 1
            return try page.string(row - 1, 0)
        }
    }
}

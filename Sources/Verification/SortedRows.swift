internal import Events
internal import Orders
internal import Postgres

/// The rows of a query that is sorted by its first column, an order's id, by bytes: fetched in pages through a cursor,
/// handed out order by order.
struct SortedRows {
    private let transaction: PostgresTransaction
    private let fetch: Statement
    private var page: QueryResult?
    private var row = 0
    private var isAtEnd = false

    static let pageRows = 2_000

    /// - Parameters:
    ///   - name: the cursor's name, unique in the transaction.
    ///   - query: a SELECT whose first column is the order's id; the sorting is added here.
    static func open(_ name: String, _ query: String, _ transaction: PostgresTransaction) async throws -> SortedRows {
        try await transaction.execute(
            script: """
                DECLARE \(name) NO SCROLL CURSOR FOR
                SELECT * FROM (\(query)) AS r (order_id) ORDER BY order_id COLLATE "C"
                """)
        return SortedRows(transaction: transaction, fetch: .unprepared("FETCH \(pageRows) FROM \(name)"))
    }

    private init(transaction: PostgresTransaction, fetch: Statement) {
        self.transaction = transaction
        self.fetch = fetch
    }

    /// The order that comes next; nil at the end.
    mutating func nextID() async throws -> ExactText? {
        if isAtEnd { return nil }
        if page.map({ row == $0.rowCount }) ?? true {
            let next = try await transaction.execute(fetch)
            page = next
            row = 0
            isAtEnd = next.rowCount == 0
        }
        guard let page, !isAtEnd else { return nil }
        return ExactText(try page.string(row, 0))
    }

    /// Hands out the rows of an order, which is the next one or has none.
    mutating func take(_ id: ExactText, _ body: (QueryResult, Int) throws -> Void) async throws {
        while try await nextID() == id, let page {
            try body(page, row)
            row += 1
        }
    }
}

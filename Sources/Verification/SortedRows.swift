internal import Events
internal import Orders
internal import Postgres

/// The rows of a query, sorted by the bytes of the order id in its first column. They are fetched in pages through a
/// cursor and returned order by order.
struct SortedRows {
    private let transaction: PostgresTransaction
    private let fetch: Statement
    private var page: QueryResult?
    private var row = 0
    private var isAtEnd = false

    static let pageRows = 2_000

    /// - Parameters:
    ///   - name: the cursor's name, unique in the transaction.
    ///   - query: a SELECT whose first column is the order id. This method adds the sorting.
    ///   - transaction: the transaction that the cursor belongs to.
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

    /// The id of the next order; nil at the end.
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

    /// Calls `body` with each row of an order. The order must be the next one, or it has no rows.
    mutating func take(_ id: ExactText, _ body: (QueryResult, Int) throws -> Void) async throws {
        while try await nextID() == id, let page {
            try body(page, row)
            row += 1
        }
    }
}

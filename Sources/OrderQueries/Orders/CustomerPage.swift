internal import Postgres

/// A page of all orders of one customer, ordered by time. Of all lists, only this one is always as quick as reading a
/// few orders, because its orders are adjacent in an index. Therefore such pages share statements, as single orders do,
/// and are read before searches.
///
/// All other lists are searches. Many orders may have the same amount, or the same time after an import, and a status
/// may be rare.
struct CustomerPage {
    /// The cost of a page, in reads of one order. Four pages in one statement are nearly as cheap for each page as more
    /// would be. With this cost, another connection starts earlier.
    static let cost = 4

    let key: ReadKey
    let statement: Statement

    /// - Returns: nil if the search is another list, or its page is long.
    init?(_ search: OrderSearch) {
        let filter = search.filter
        guard let customer = filter.customer, search.limit <= OrderSearch.defaultLimit, !search.wantsTotal,
            filter == OrderFilter(customer: customer, sort: filter.sort)
        else { return nil }
        var behind: ReadKey.Place?
        if let position = search.position {
            guard case .time(let time) = position.key else { return nil }
            behind = ReadKey.Place(time: time, orderID: position.orderID)
        }
        let form = Form(
            sort: filter.sort, rowLimit: SearchStatement.rowLimit(for: search.limit), isFirst: behind == nil)
        guard let statement = Self.statements[form] else { return nil }
        key = ReadKey(text: customer, behind: behind)
        self.statement = statement
    }

    private struct Form: Hashable {
        let sort: OrderSort
        let rowLimit: Int
        let isFirst: Bool

        var sql: String {
            let direction = sort.isDescending ? "DESC" : "ASC"
            let asked = isFirst ? "$1::text[]" : "$1::text[], $2::timestamptz[], $3::text[]"
            let names = isFirst ? "customer_id, place" : "customer_id, created_at, order_id, place"
            let behind =
                isFirst
                ? "" : "AND (created_at, order_id) \(sort.isDescending ? "<" : ">") (asked.created_at, asked.order_id)"
            return """
                SELECT page.*, asked.place FROM unnest(\(asked)) WITH ORDINALITY AS asked (\(names))
                CROSS JOIN LATERAL (
                    SELECT \(OrderStatements.columns) FROM order_summary WHERE customer_id = asked.customer_id
                        AND created_at IS NOT NULL \(behind)
                    ORDER BY created_at \(direction), order_id \(direction) LIMIT \(rowLimit)) AS page
                """
        }
    }

    private static let statements: [Form: Statement] = {
        var statements: [Form: Statement] = [:]
        for sort in [OrderSort.time, .timeDescending] {
            for limit in [10, OrderSearch.defaultLimit] {
                for isFirst in [true, false] {
                    let form = Form(sort: sort, rowLimit: SearchStatement.rowLimit(for: limit), isFirst: isFirst)
                    statements[form] = Statement(form.sql)
                }
            }
        }
        return statements
    }()
}

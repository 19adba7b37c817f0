internal import Postgres

/// A page of all orders of a customer by time: the one list that is as quick as the look at some orders, whoever the
/// customer is, since the page's orders stand beside each other in an index. So those that are asked for at the same
/// time share a statement, as single orders do, and go before searches.
///
/// Of all customers' orders very many may have the same amount, or the same time of an import, and statuses may be
/// rare: such lists are searches.
struct CustomerPage {
    /// What a page takes, in reads of one order: four at a time cost little less each than more would, and another
    /// connection joins in the sooner.
    static let cost = 4

    let key: ReadKey
    let statement: Statement

    /// - Returns: nil when it is another list, or a long page.
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

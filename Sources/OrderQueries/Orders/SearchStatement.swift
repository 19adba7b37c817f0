internal import Orders
internal import Postgres
internal import StreamCore
internal import Synchronization

/// The SQL of a page of orders, and its parameters.
///
/// Each combination of conditions has its own SQL text, so one plan of the text suits all values:
///
/// - For one customer, there are two indexes: one ordered by time, one by amount.
/// - For all customers, the indexes by time and by amount separate open and closed orders, and are ordered within each
///   of the two classes. If both classes are requested, the statement merges a page of each.
/// - A range of amounts in a list by time, or a range of times in a list by amount, suits no single index. The best
///   plan depends on the values, so PostgreSQL plans such a statement each time.
/// - For a page after the first in a list by amount, the planner cannot know how many orders have the amount of the
///   position. If there is also a range of times, the statement first checks whether only few orders are in the range.
///   It then sorts those.
///
/// A page begins after the last position of the page before. The index finds that position, so later pages cost as much
/// as the first one. The limit is a constant of the text, with three possible values. For a parameter, the planner
/// would assume a tenth of the table.
struct SearchStatement {
    /// The statements, which share one round trip.
    let statements: Statements
    /// The indexes of the results with the page and with the total.
    let pageIndex: Int
    let totalIndex: Int?

    init(_ search: OrderSearch) throws(PostgresError) {
        let shape = Shape(search)
        var statements: Statements = []
        if shape.isPlannedEachTime {
            statements.append((Self.planEachTime, Parameters()))
            statements.append((.unprepared(shape.pageSQL), try Self.parameters(search, position: search.position)))
        } else {
            statements.append((Self.cached(shape), try Self.parameters(search, position: search.position)))
        }
        pageIndex = statements.count - 1
        if search.wantsTotal {
            // The best plan for counting depends on the values.
            if !shape.isPlannedEachTime { statements.append((Self.planEachTime, Parameters())) }
            statements.append((.unprepared(shape.totalSQL), try Self.parameters(search, position: nil)))
            totalIndex = statements.count - 1
        } else {
            totalIndex = nil
        }
        self.statements = statements
    }

    /// Maximum number of rows that the statement returns for a limit. One row more than the page shows that there is a
    /// next page.
    static func rowLimit(for limit: Int) -> Int { rowLimits.first { $0 > limit } ?? OrderSearch.maxLimit + 1 }

    private static let rowLimits = [11, 51, OrderSearch.maxLimit + 1]

    /// Settings for the rest of the round trip, which is one implicit transaction.
    private static let planEachTime: Statement = """
        SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('enable_bitmapscan', 'on', true)
        """

    private static let statementsByShape = Mutex<[Shape: Statement]>([:])

    /// Caches the statement of each shape that was used. There are a few hundred possible shapes, and few of them are
    /// used.
    private static func cached(_ shape: Shape) -> Statement {
        statementsByShape.withLock { statements in
            if let statement = statements[shape] { return statement }
            let statement = Statement(shape.pageSQL)
            statements[shape] = statement
            return statement
        }
    }

    private static func parameters(
        _ search: OrderSearch, position: PagePosition?
    ) throws(PostgresError) -> Parameters {
        let filter = search.filter
        var parameters = Parameters()
        if let customer = filter.customer { parameters.append(customer) }
        if !filter.statuses.isEmpty {
            var statuses = TextArray()
            for status in filter.statuses { statuses.append(status.rawValue) }
            parameters.append(statuses)
        }
        if let amount = filter.minAmount { try parameters.append(numeric: amount) }
        if let amount = filter.maxAmount { try parameters.append(numeric: amount) }
        if let instant = filter.from { parameters.append(instant) }
        if let instant = filter.to { parameters.append(instant) }
        if let position {
            switch position.key {
            case .time(let time): parameters.append(time)
            case .amount(let digits): try parameters.append(numeric: digits)
            }
            parameters.append(position.orderID)
        }
        return parameters
    }
}

/// The properties of a search that determine its SQL text.
private struct Shape: Hashable {
    var conditions: [String] = []
    /// The condition that the page begins after a position; nil for the first page.
    var behind: String?
    /// The values of `is_open` that the requested statuses can have; empty if an index by customer is used.
    var classes: [Bool] = []
    var sort: OrderSort
    var rowLimit: Int
    var isPlannedEachTime = false

    init(_ search: OrderSearch) {
        let filter = search.filter
        var count = 0
        func next() -> String {
            count += 1
            return "$\(count)"
        }
        conditions.append("created_at IS NOT NULL")
        if filter.customer != nil { conditions.append("customer_id = \(next())") }
        if !filter.statuses.isEmpty { conditions.append("status = ANY(\(next()))") }
        if filter.minAmount != nil { conditions.append("total_amount >= \(next())") }
        if filter.maxAmount != nil { conditions.append("total_amount <= \(next())") }
        if filter.from != nil { conditions.append("created_at >= \(next())") }
        if filter.to != nil { conditions.append("created_at < \(next())") }
        sort = filter.sort
        rowLimit = SearchStatement.rowLimit(for: search.limit)
        if search.position != nil {
            let isBehind = sort.isDescending ? "<" : ">"
            behind = "(\(Self.key(sort)), order_id) \(isBehind) (\(next()), \(next()))"
        }
        if filter.customer == nil {
            let statuses = filter.statuses.isEmpty ? OrderStatus.listed : filter.statuses
            classes = [true, false].filter { isOpen in statuses.contains { $0.isOpen == isOpen } }
        }
        isPlannedEachTime =
            sort.isByTime
            ? filter.minAmount != nil || filter.maxAmount != nil : filter.from != nil || filter.to != nil
    }

    private static func key(_ sort: OrderSort) -> String { sort.isByTime ? "created_at" : "total_amount" }

    private var order: String {
        let direction = sort.isDescending ? "DESC" : "ASC"
        return "ORDER BY \(Self.key(sort)) \(direction), order_id \(direction) LIMIT \(rowLimit)"
    }

    var pageSQL: String {
        guard let behind else { return page(conditions) }
        let all = conditions + [behind]
        guard isPlannedEachTime && !sort.isByTime else { return page(all) }
        // With so few orders in the range, reading by amount would pass many others before it finds them.
        let few = 30 * rowLimit
        let isFew = "(SELECT count(*) FROM in_range) <= \(few)"
        let places = conditions.filter { $0.contains("created_at") || $0.contains("customer_id") }
        let inRange = eachClass(of: places) {
            "SELECT order_id FROM order_summary WHERE \($0.joined(separator: " AND ")) LIMIT \(few + 1)"
        }
        let found = select(conditions + ["order_id IN (SELECT order_id FROM in_range)", isFew])
        let walked = page(all + ["NOT \(isFew)"])
        return """
            WITH in_range AS MATERIALIZED (SELECT * FROM (\(inRange)) AS classes LIMIT \(few + 1)),
                found AS MATERIALIZED (\(found))
            SELECT * FROM ((SELECT * FROM found WHERE \(behind)) UNION ALL (\(walked))) AS pages \(order)
            """
    }

    private func page(_ conditions: [String]) -> String {
        let pages = eachClass(of: conditions) { "\(select($0)) \(order)" }
        return classes.count > 1 ? "SELECT * FROM (\(pages)) AS pages \(order)" : pages
    }

    /// Creates one statement for open and one for closed orders, so that each can use its index.
    private func eachClass(of conditions: [String], _ statement: ([String]) -> String) -> String {
        guard !classes.isEmpty else { return statement(conditions) }
        let statements = classes.map { isOpen in statement(conditions + [isOpen ? "is_open" : "NOT is_open"]) }
        return statements.count == 1 ? statements[0] : statements.map { "(\($0))" }.joined(separator: " UNION ALL ")
    }

    private func select(_ conditions: [String]) -> String {
        let condition = conditions.joined(separator: " AND ")
        return "SELECT \(OrderStatements.columns) FROM order_summary WHERE \(condition)"
    }

    var totalSQL: String {
        var all = conditions
        if classes.count == 1 { all.append(classes[0] ? "is_open" : "NOT is_open") }
        return "SELECT count(*) FROM order_summary WHERE \(all.joined(separator: " AND "))"
    }
}

internal import Orders
internal import Postgres
internal import StreamCore
internal import Synchronization

/// The SQL of a page of orders, and its parameters.
///
/// There is one text for each combination of conditions, so that a text's one plan suits all values:
///
/// - Within one customer there is an index in the order of time, and one in that of amounts.
/// - Otherwise there is one of open and closed orders in either order, each of which is in that order by itself; where
///   both are wanted, a page of each is merged.
/// - A range of amounts in the order of time, or of times in the order of amounts, suits no index alone: what is best
///   depends on the values, so such a statement is planned each time.
/// - Behind a position in the order of amounts the planner cannot know how many orders have the position's amount. With
///   a range of times, such a statement first looks whether few orders are in the range, and then sorts those.
///
/// A page begins behind the last one's position, which the index finds; deep pages cost what the first one does. The
/// limit stands in the text, in three sizes: with a parameter there the planner takes it for a tenth of the table.
struct SearchStatement {
    /// Run in one round trip.
    let statements: Statements
    /// Which of their results are the page, and the total.
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
            // Counted by whatever way is best for the values.
            if !shape.isPlannedEachTime { statements.append((Self.planEachTime, Parameters())) }
            statements.append((.unprepared(shape.totalSQL), try Self.parameters(search, position: nil)))
            totalIndex = statements.count - 1
        } else {
            totalIndex = nil
        }
        self.statements = statements
    }

    /// How many rows the statement may answer for a limit: one more than the page tells whether there is a next one.
    static func rowLimit(for limit: Int) -> Int { rowLimits.first { $0 > limit } ?? OrderSearch.maxLimit + 1 }

    private static let rowLimits = [11, 51, OrderSearch.maxLimit + 1]

    /// For the rest of the round trip, which is one implicit transaction.
    private static let planEachTime: Statement = """
        SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('enable_bitmapscan', 'on', true)
        """

    private static let statementsByShape = Mutex<[Shape: Statement]>([:])

    /// There are some hundred shapes; those that are used are few.
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

/// What a search's text depends on.
private struct Shape: Hashable {
    var conditions: [String] = []
    /// The place of a page's beginning; nil for the first page.
    var behind: String?
    /// The values of `is_open` that the statuses can have, when the index by status is the way.
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
        // So few that a page in the order of amounts would pass by many others before it has found its own.
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

    /// A statement for each class of orders, so that each finds its index.
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

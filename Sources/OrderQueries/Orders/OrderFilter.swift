internal import HTTP
internal import Orders
internal import RequestValues
internal import StreamCore

/// The order of a list of orders.
enum OrderSort: String, CaseIterable, Sendable {
    case time
    case timeDescending = "-time"
    case amount
    case amountDescending = "-amount"

    var isByTime: Bool { self == .time || self == .timeDescending }
    var isDescending: Bool { self == .timeDescending || self == .amountDescending }
}

extension OrderStatus {
    /// The statuses that orders in a list can have. No list contains an order whose creation is not known yet.
    static let listed = allCases.filter { $0 != .incomplete }
}

/// Selects the orders of a list, and their order. A cursor is valid only for one filter.
struct OrderFilter: Hashable, Sendable {
    var customer: String?
    /// The statuses in the order of their declaration, each once; empty for all.
    var statuses: [OrderStatus] = []
    /// The limits of the amount, as decimals in their canonical form.
    var minAmount: String?
    var maxAmount: String?
    /// Orders that were created at this time or later.
    var from: Timestamp?
    /// Orders that were created before this time.
    var to: Timestamp?
    var sort = OrderSort.timeDescending

    /// Adds the filter to a hash. Equal filters give the same hash in every process, even if their parameters were
    /// written differently.
    func combine(into hash: inout StableHash) {
        for part in [customer, minAmount, maxAmount, from?.description, to?.description] {
            // The mark and the length separate the parts.
            hash.combine(part.map { "=\($0.utf8.count)" } ?? "-")
            hash.combine(part ?? "")
        }
        hash.combine(statuses.map(\.rawValue).joined(separator: ","))
        hash.combine(sort.rawValue)
    }
}

/// A request for a page of orders.
struct OrderSearch: Sendable {
    var filter = OrderFilter()
    var limit = defaultLimit
    var position: PagePosition?
    var wantsTotal = false

    static let defaultLimit = 50
    static let maxLimit = 200

    private static let names = [
        "customer", "min_amount", "max_amount", "from", "to", "sort", "limit", "cursor", "total",
    ]

    /// - Parameters:
    ///   - query: the request's parameters.
    ///   - customer: the customer of the path; nil if the parameter may specify a customer.
    init(_ query: [(name: String, value: String)], customer: String? = nil) throws(Problem) {
        let names = customer == nil ? Self.names : Array(Self.names.dropFirst())
        var parameters = QueryParameters(query, names: names, repeatable: ["status"])
        filter.customer = customer ?? parameters.identifier("customer")
        filter.statuses = Self.statuses(&parameters)
        filter.minAmount = parameters.amount("min_amount")
        filter.maxAmount = parameters.amount("max_amount")
        if let least = filter.minAmount, let most = filter.maxAmount, PlainDecimal.isGreater(least, than: most) {
            parameters.complain("min_amount", "is more than max_amount")
        }
        filter.from = parameters.instant("from")
        filter.to = parameters.instant("to")
        if let from = filter.from, let to = filter.to, from > to { parameters.complain("from", "is after to") }
        filter.sort = parameters.choice("sort", default: .timeDescending)
        limit = parameters.integer("limit", in: 1...Int64(Self.maxLimit)).map { Int($0) } ?? Self.defaultLimit
        wantsTotal = parameters.flag("total")
        if let text = parameters.text("cursor") {
            position = PageCursor.position(in: text, for: filter)
            // An invalid filter has no cursors. Its own complaint is enough.
            if position == nil && parameters.complaints.isEmpty {
                parameters.complain(
                    "cursor", "is not a cursor of this list: use it unchanged, with the same filter and sort")
            }
        }
        try parameters.check()
    }

    private static func statuses(_ parameters: inout QueryParameters) -> [OrderStatus] {
        let words = parameters.list("status")
        let known = OrderStatus.listed.filter { words.contains($0.rawValue) }
        if words.contains(where: { word in !known.contains { $0.rawValue == word } }) {
            let all = OrderStatus.listed.map(\.rawValue).joined(separator: ", ")
            parameters.complain("status", "must be one or several of \(all)")
        }
        return known
    }
}

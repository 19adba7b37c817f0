internal import HTTP
internal import Orders
internal import RequestValues
internal import StreamCore

/// What a list of orders is ordered by.
enum OrderSort: String, CaseIterable, Sendable {
    case time
    case timeDescending = "-time"
    case amount
    case amountDescending = "-amount"

    var isByTime: Bool { self == .time || self == .timeDescending }
    var isDescending: Bool { self == .timeDescending || self == .amountDescending }
}

extension OrderStatus {
    /// Where an order of a list can stand. Orders of which others tell before their own creation is known are in no
    /// list.
    static let listed = allCases.filter { $0 != .incomplete }
}

/// Which orders a list has, and in which order: what a cursor is bound to.
struct OrderFilter: Hashable, Sendable {
    var customer: String?
    /// In the order of their declaration, each once; empty for all.
    var statuses: [OrderStatus] = []
    /// Decimals in their canonical form.
    var minAmount: String?
    var maxAmount: String?
    /// Of the creation: from this instant on.
    var from: Timestamp?
    /// Before this instant.
    var to: Timestamp?
    var sort = OrderSort.timeDescending

    /// The same for the same filter in every process, however its parameters were written.
    func combine(into hash: inout StableHash) {
        for part in [customer, minAmount, maxAmount, from?.description, to?.description] {
            // The length and a mark keep the parts apart.
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
    ///   - customer: the customer of the path; nil when the parameter may name one.
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
            // A filter that is wrong itself has no cursors; one complaint is enough.
            if position == nil && parameters.complaints.isEmpty {
                parameters.complain(
                    "cursor", "is not one that this list has given: use it with the same filter and sort, unchanged")
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

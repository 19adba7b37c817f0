/// The paths of data that are no files of SQL.
enum BuiltInPath: String, CaseIterable {
    case order = "/v1/orders/{id}"
    case orders = "/v1/orders"
    case customerOrders = "/v1/customers/{id}/orders"
    case customerSummary = "/v1/customers/{id}/summary"
    case dashboard = "/v1/dashboard"
    case dashboardStream = "/v1/dashboard/stream"
    case freshness = "/v1/freshness"
    /// Queries in SQL, by their names.
    case query = "/v1/q/{name}"

    /// The read model that the path needs; nil if it is always answered.
    private var readModel: QueryServiceConfiguration.ReadModel? {
        switch self {
        case .order, .orders, .customerOrders: .orderSummary
        case .customerSummary, .dashboard, .dashboardStream: .dashboard
        case .freshness, .query: nil
        }
    }

    /// Whether the path is answered out of these read models.
    func isServed(by readModels: Set<QueryServiceConfiguration.ReadModel>) -> Bool {
        readModel.map(readModels.contains) ?? true
    }
}

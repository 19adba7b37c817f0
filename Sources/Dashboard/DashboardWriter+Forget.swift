internal import Events
internal import Postgres

extension DashboardWriter {
    /// Removes an order from the read model, and subtracts its contribution from the counters.
    ///
    /// - Throws: the errors of ``write(_:in:)``.
    func forget(_ orderID: String, in transaction: PostgresTransaction) async throws {
        var ids = TextArray()
        ids.append(orderID)
        let key = Parameters { $0.append(ids) }
        let stored = StoredOrders(try await transaction.execute(DashboardStatements.lockOrders, key))
        guard stored.rowCount == 1 else { return }
        var facts = try stored.facts(0, orderID: orderID)
        facts.lines = try stored.lines(0)
        var counters = CounterChanges()
        try counters.move(from: Contribution(of: facts), to: .nothing)
        let lane = try await lane(by: { try await transaction.pipeline($0) })
        let statements = try counters.statements(lane: lane) + [(DashboardStatements.forgetOrders, key)]
        _ = try await transaction.pipeline(statements)
    }
}

internal import Events
internal import Orders
public import Postgres
internal import Synchronization

/// Changes of orders as SQL: what ``OrderSummaryProjection`` does behind the fold, to be run alone by whoever wants
/// to know what the database can do.
public final class OrderSummaryWriter: Sendable {
    /// The types' OIDs, asked once: all connections of a writer are to one schema.
    private let types = Mutex<OrderSummaryTypes?>(nil)

    public init() {}

    /// Merges the changes into the read model.
    ///
    /// The statement reads nothing that it was not about to lock: it merges under the row's lock, with functions that
    /// do not mind the order. So any number of owners may change the same order at the same time, be it the one of its
    /// partition and the one of the retry topic, or of other topics. It is left queued, for COMMIT to take along.
    ///
    /// - Throws: `PostgresError`; `EventFailure` when an order's total has more digits than a decimal can.
    public func write(_ fold: OrderSummaryFold, in transaction: PostgresTransaction) async throws {
        guard !fold.rows.isEmpty else { return }
        do {
            let types = try await types(transaction)
            let parameters = try types.parameters(fold.rows, Self.lockOrder(fold.rows))
            try await transaction.enqueue(OrderSummaryStatements.merge, parameters) { self.forgetTypes() }
        } catch {
            forgetTypes()
            throw error
        }
    }

    /// Everybody locks rows in one order, and so nobody waits for another in a circle. Places are sorted, not rows:
    /// those are large.
    private static func lockOrder(_ rows: [OrderSummaryRow]) -> [Int] {
        rows.indices.sorted { ExactText.compare(rows[$0].orderID, rows[$1].orderID) < 0 }
    }

    /// The schema may have been made anew, with other OIDs.
    private func forgetTypes() {
        types.withLock { $0 = nil }
    }

    private func types(_ transaction: PostgresTransaction) async throws -> OrderSummaryTypes {
        if let known = types.withLock({ $0 }) { return known }
        let asked = try OrderSummaryTypes(try await transaction.execute(OrderSummaryTypes.statement))
        types.withLock { $0 = asked }
        return asked
    }
}

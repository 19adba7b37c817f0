internal import Events
internal import Orders
public import Postgres
internal import Synchronization

/// Writes changes of orders with SQL. It is the part of ``OrderSummaryProjection`` after the fold, which benchmarks run
/// alone.
public final class OrderSummaryWriter: Sendable {
    /// The OIDs of the types. They are read once, because all connections of a writer use one schema.
    private let types = Mutex<OrderSummaryTypes?>(nil)

    public init() {}

    /// Merges the changes into the read model.
    ///
    /// The statement reads only rows that it locks. It merges under the row's lock, and the order of merges does not
    /// matter. So any number of processes may change the same order at the same time, for example the owner of its
    /// partition and the owner of the retry topic's. The statement stays queued, so that it shares the round trip of
    /// COMMIT.
    ///
    /// - Throws: `PostgresError`; `EventFailure` if the total of an order has too many digits.
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

    /// The order in which rows are locked. All processes use the same order, which prevents deadlocks. Indexes are
    /// sorted instead of rows, because rows are large.
    private static func lockOrder(_ rows: [OrderSummaryRow]) -> [Int] {
        rows.indices.sorted { ExactText.compare(rows[$0].orderID, rows[$1].orderID) < 0 }
    }

    /// Discards the OIDs, because the schema may have been created again with other ones.
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

internal import Events
internal import Orders
internal import Outbox
internal import Postgres

/// Reads the write model, the topics and the read model side by side, order by order.
struct OrderStreams {
    private var written: WriteModel
    /// The rows of `order_summary`; nil where there is none.
    private var rows: SortedRows?

    /// - Parameters:
    ///   - written: the transaction with the write model's snapshot.
    ///   - read: the transaction with the read model's snapshot.
    ///   - tables: what the databases have.
    ///   - outbox: the outbox of the write model.
    ///   - unpublished: the ids of the outbox rows that are not in Kafka.
    init(
        _ written: PostgresTransaction, _ read: PostgresTransaction, _ tables: VerifiedTables, _ outbox: OutboxTable,
        unpublished: Set<Int64>
    ) async throws {
        self.written = try await WriteModel(written, outbox, unpublished: unpublished)
        guard tables.hasSummary else { return }
        let query = "SELECT order_id, \(SummaryColumns.query) FROM order_summary"
        rows = try await .open("verify_rows", query, read)
    }

    /// Calls `body` with all orders up to and including `last`, or to the end.
    mutating func forEach(
        through last: ExactText?, _ histories: OrderHistories, _ body: (OrderCase) throws -> Void
    ) async throws {
        let told = histories.orders.keys.sorted()
        var place = 0
        while true {
            let next = [
                try await written.nextID(), try await rows?.nextID(), place < told.count ? told[place] : nil,
            ].compactMap(\.self).min()
            guard let id = next, last.map({ id <= $0 }) ?? true else { return }
            var order = OrderCase(id: id)
            (order.written, order.unpublished) = try await written.take(id)
            try await rows?.take(id) { page, row in
                order.row = try SummaryColumns.names.indices.map { try page.optionalString(row, $0 + 1) }
            }
            if place < told.count, told[place] == id {
                order.history = histories.orders[id]
                place += 1
            }
            try body(order)
        }
    }
}

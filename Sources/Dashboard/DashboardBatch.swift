internal import Events
internal import Orders
internal import Postgres
internal import Projections

/// The statements that write a batch into the read model. Each is built from the results of earlier ones. It does no
/// I/O; ``DashboardWriter`` executes the statements.
///
/// The order of the locks prevents deadlocks. First, existing rows are locked in the order of the ids. Then missing
/// rows are inserted, also in the order of the ids. A transaction that waits for such a row waits for another one that
/// has finished locking and has inserted no row with a greater id before. Rows are updated only after that, so an
/// insert that conflicts waits for a transaction that updates the row, but not for one that has only locked it. A row
/// that was missing but was then inserted by another transaction is locked out of order, and therefore with NOWAIT: if
/// it is locked already, the transaction fails and is retried. The lane is taken last, when the transaction waits for
/// nothing else.
struct DashboardBatch {
    /// The changes, ordered by order id.
    private let changes: [OrderFacts]
    private let types: DashboardTypes
    private let partSize: Int
    /// For each change, whether its order has a row.
    private var isKnown: [Bool]
    /// Rows of existing orders that are still to be merged, with the indexes of the changes that they were locked for.
    private var unmerged: [(rows: StoredOrders, places: [Int])] = []
    /// The indexes of new orders that are not in `new` yet.
    private var unmade: [Int] = []
    /// The rows to write: merged orders since the last call of ``writing()``, and new orders.
    private var changed: RecordArray
    private var new: RecordArray
    private var counters = CounterChanges()

    /// - Parameters:
    ///   - changes: one change for each order.
    ///   - types: the types of the records.
    ///   - partSize: the number of orders that one statement locks.
    init(_ changes: [OrderFacts], _ types: DashboardTypes, partSize: Int) {
        self.types = types
        self.partSize = partSize
        changed = types.rows(partSize)
        new = types.rows(changes.count)
        let order = changes.indices.map { (id: changes[$0].orderID, place: $0) }.sorted {
            ExactText.compare($0.id, $1.id) < 0
        }
        self.changes = order.map { changes[$0.place] }
        isKnown = [Bool](repeating: false, count: changes.count)
    }

    // MARK: the orders

    /// The indexes of the changes, divided into parts. While the database locks one part, the previous one can be
    /// merged.
    var parts: [[Int]] {
        stride(from: 0, to: changes.count, by: partSize).map { Array($0..<min($0 + partSize, changes.count)) }
    }

    /// Locks and reads the existing rows of the orders.
    func locking(_ places: [Int]) -> (Statement, Parameters) { (DashboardStatements.lockOrders, ids(places)) }

    /// Adds the result of ``locking(_:)``.
    mutating func add(_ rows: QueryResult, of places: [Int]) throws {
        let stored = StoredOrders(rows)
        for row in 0..<rows.rowCount { isKnown[places[try stored.place(row)]] = true }
        unmerged.append((stored, places))
        unmade += places.filter { !isKnown[$0] }
    }

    /// Inserts the rows of new orders, after all existing rows were locked. Empty if there are no new orders.
    mutating func making() -> [(Statement, Parameters)] {
        makeRows()
        return new.count == 0 ? [] : [(DashboardStatements.makeOrders, Parameters { $0.append(new) })]
    }

    private mutating func makeRows() {
        for place in unmade { types.append(changes[place], to: &new) }
        unmade = []
    }

    private var unknown: [Int] { changes.indices.filter { !isKnown[$0] } }

    /// Adds the result of ``making()``.
    ///
    /// - Returns: the indexes of the orders whose rows another transaction has inserted in the meantime.
    mutating func add(made: QueryResult) throws -> [Int] {
        let unknown = unknown
        if made.rowCount == unknown.count { return [] }
        let own = Set(try (0..<made.rowCount).map { ExactText(try made.string($0, 0)) })
        let others = unknown.filter { !own.contains(ExactText(changes[$0].orderID)) }
        for place in others { isKnown[place] = true }
        return others
    }

    /// Locks and reads rows that other transactions have inserted. It fails instead of waiting.
    func lockingMade(_ places: [Int]) -> (Statement, Parameters) {
        (DashboardStatements.lockOrdersOrFail, ids(places))
    }

    private func ids(_ places: [Int]) -> Parameters {
        var ids = TextArray(reservingBytes: places.count * 40)
        for place in places { ids.append(changes[place].orderID) }
        return Parameters { $0.append(ids) }
    }

    // MARK: merging and counting

    /// Merges the changes into the rows that were added, and updates the counters: the new contribution of each order
    /// minus the old one.
    ///
    /// - Throws: `EventFailure` if a sum has too many digits; another error if a stored row has an invalid form.
    mutating func merge() throws {
        makeRows()
        for (stored, places) in unmerged {
            for row in 0..<stored.rowCount { try merge(changes[places[try stored.place(row)]], stored, row) }
        }
        unmerged = []
    }

    private mutating func merge(_ change: OrderFacts, _ stored: StoredOrders, _ row: Int) throws {
        var before = try stored.facts(row, orderID: change.orderID)
        var after = before
        after.merge(change)
        // Lines are large and rarely needed. If both sides lack them, they make no difference.
        if change.lines != nil || before.isEmpty || after.mayHaveSoldDifferently(than: before) {
            before.lines = try stored.lines(row)
            after = before
            after.merge(change)
        }
        if after == before { return }
        try throwingEventFailure { () throws(DecimalOverflow) in
            try counters.move(from: Contribution(of: before), to: Contribution(of: after))
        }
        types.append(after, before: before, to: &changed)
    }

    /// Counts the orders whose rows this transaction inserted.
    ///
    /// - Throws: the errors of ``merge()``.
    mutating func countMade() throws {
        try throwingEventFailure { () throws(DecimalOverflow) in
            for place in unknown { try counters.move(from: .nothing, to: Contribution(of: changes[place])) }
        }
    }

    /// Writes the orders that were merged since the last call. Empty if nothing changed.
    mutating func writing() -> [(Statement, Parameters)] {
        if changed.count == 0 { return [] }
        let rows = changed
        changed = types.rows(partSize)
        return [(DashboardStatements.writeOrders, Parameters { $0.append(rows) })]
    }

    /// Adds the changes to the counters.
    ///
    /// - Parameter lane: the lane of the transaction.
    /// - Throws: the errors of ``merge()``.
    func counting(lane: Int16) throws -> [(Statement, Parameters)] {
        try throwingEventFailure { () throws(DecimalOverflow) in try counters.statements(lane: lane) }
    }
}

private func throwingEventFailure<Result>(
    _ body: () throws(DecimalOverflow) -> Result
) throws(EventFailure) -> Result {
    do {
        return try body()
    } catch {
        throw EventFailure("amount_overflow", "a sum of amounts has more than 38 digits")
    }
}

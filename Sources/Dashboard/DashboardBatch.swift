internal import Events
internal import Orders
internal import Postgres
internal import Projections

/// What a batch's events tell, on its way into the read model: the statements of its transaction, of which each is made
/// from what those before it answered. No I/O of its own; ``DashboardWriter`` has the way from top to bottom.
///
/// Nobody waits for another in a circle. Rows that are there are locked in the order of the ids. Then rows that are not
/// are made, in the order of the ids: who waits for such a row waits for somebody who is past the locking, and has made
/// none with greater ids before. Only then are rows changed: who has not seen a row and makes it waits for somebody who
/// changes it, but not for one who has only locked it. A row that was not there and then was, since somebody else made
/// it first, is locked out of turn and so without waiting: should it be taken again already, the transaction fails, to
/// be tried anew. The lane comes after the making, when its holder waits for nobody.
struct DashboardBatch {
    /// In the order of the orders' ids.
    private let changes: [OrderFacts]
    private let types: DashboardTypes
    private let partSize: Int
    /// Of each change, whether its order had a row.
    private var isKnown: [Bool]
    /// Rows of known orders that are still to be merged, and the places of the changes that they were locked for.
    private var unmerged: [(rows: StoredOrders, places: [Int])] = []
    /// The places of new orders that are not among `new` yet.
    private var unmade: [Int] = []
    /// Rows to be written: of merged orders, since the last were taken; of new orders.
    private var changed: RecordArray
    private var new: RecordArray
    private var counters = CounterChanges()

    /// - Parameters:
    ///   - changes: one an order.
    ///   - partSize: so many orders are locked by one statement.
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

    /// The changes in order, in parts: while the database locks one, the one before can be merged.
    var parts: [[Int]] {
        stride(from: 0, to: changes.count, by: partSize).map { Array($0..<min($0 + partSize, changes.count)) }
    }

    /// Locks those orders that there are, and reads them.
    func locking(_ places: [Int]) -> (Statement, Parameters) { (DashboardStatements.lockOrders, ids(places)) }

    /// Notes what ``locking(_:)`` answered.
    mutating func add(_ rows: QueryResult, of places: [Int]) throws {
        let stored = StoredOrders(rows)
        for row in 0..<rows.rowCount { isKnown[places[try stored.place(row)]] = true }
        unmerged.append((stored, places))
        unmade += places.filter { !isKnown[$0] }
    }

    /// Makes the rows of the orders that there are not, once all were locked; none when there are all.
    mutating func making() -> [(Statement, Parameters)] {
        makeRows()
        return new.count == 0 ? [] : [(DashboardStatements.makeOrders, Parameters { $0.append(new) })]
    }

    private mutating func makeRows() {
        for place in unmade { types.append(changes[place], to: &new) }
        unmade = []
    }

    private var unknown: [Int] { changes.indices.filter { !isKnown[$0] } }

    /// Notes what ``making()`` answered.
    ///
    /// - Returns: the places of the orders whose rows somebody else made meanwhile.
    mutating func add(made: QueryResult) throws -> [Int] {
        let unknown = unknown
        if made.rowCount == unknown.count { return [] }
        let own = Set(try (0..<made.rowCount).map { ExactText(try made.string($0, 0)) })
        let others = unknown.filter { !own.contains(ExactText(changes[$0].orderID)) }
        for place in others { isKnown[place] = true }
        return others
    }

    /// Locks and reads the rows that others have made; fails rather than wait.
    func lockingMade(_ places: [Int]) -> (Statement, Parameters) {
        (DashboardStatements.lockOrdersOrFail, ids(places))
    }

    private func ids(_ places: [Int]) -> Parameters {
        var ids = TextArray(reservingBytes: places.count * 40)
        for place in places { ids.append(changes[place].orderID) }
        return Parameters { $0.append(ids) }
    }

    // MARK: merging and counting

    /// Merges the changes of orders whose rows were added, and counts what each order counts for now less what it did
    /// before.
    ///
    /// - Throws: `EventFailure` when a sum has more digits than a decimal can; another error when a stored row is not
    ///   of the form that this program writes.
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
        // Lines are large, and mostly of no interest; without them on both sides, they make no difference.
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

    /// Counts the orders whose rows this transaction made.
    ///
    /// - Throws: as ``merge()``.
    mutating func countMade() throws {
        try throwingEventFailure { () throws(DecimalOverflow) in
            for place in unknown { try counters.move(from: .nothing, to: Contribution(of: changes[place])) }
        }
    }

    /// Writes what the orders are now that were merged since it was last asked for; none when nothing changed.
    mutating func writing() -> [(Statement, Parameters)] {
        if changed.count == 0 { return [] }
        let rows = changed
        changed = types.rows(partSize)
        return [(DashboardStatements.writeOrders, Parameters { $0.append(rows) })]
    }

    /// Adds to the counters.
    ///
    /// - Parameter lane: the transaction's own.
    /// - Throws: as ``merge()``.
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

internal import Orders
public import Postgres
internal import Projections

/// What a batch's events tell, on its way into the read model: the statements of its transaction, of which each is made
/// from what those before it answered. No I/O of its own.
///
/// ``locking`` → ``making(after:_:)`` → ``lockingMade(after:made:)``, seldom → a lane → ``closing(after:lane:_:)``
///
/// Nobody waits for another in a circle. Rows that are there are locked in the order of the ids. Then rows that are not
/// are made, in the order of the ids: who waits for such a row waits for somebody who is past the locking, and has made
/// none with greater ids before. A row that was not there and then was, since somebody else made it first, is locked
/// out of turn and so without waiting: should it be taken again already, the transaction fails, to be tried anew. The
/// lane comes last, when its holder waits for nobody.
public struct DashboardBatch: Sendable {
    /// In the order of the orders' ids.
    private let changes: [OrderFacts]

    /// What the database answered about the orders.
    public struct Opened: Sendable {
        /// Of ``DashboardBatch/locking``.
        public let locked: QueryResult
        /// Of ``DashboardBatch/making(after:_:)``, if there was anything to make.
        public let made: QueryResult?
        /// Of ``DashboardBatch/lockingMade(after:made:)``, if others made some.
        public let lockedMade: QueryResult?

        public init(locked: QueryResult, made: QueryResult? = nil, lockedMade: QueryResult? = nil) {
            self.locked = locked
            self.made = made
            self.lockedMade = lockedMade
        }
    }

    /// - Parameter changes: one an order.
    public init(_ changes: [OrderFacts]) {
        self.changes = changes.sorted { ExactText.compare($0.orderID, $1.orderID) < 0 }
    }

    // MARK: the orders

    /// Locks the orders that there are, and reads them.
    public var locking: (Statement, Parameters) { (DashboardStatements.lockOrders, ids(Array(changes.indices))) }

    /// Makes the rows of the orders that there are not; nil when there are all.
    public func making(after locked: QueryResult, _ types: DashboardTypes) throws -> (Statement, Parameters)? {
        let unknown = try unknown(locked)
        if unknown.isEmpty { return nil }
        let rows = unknown.map { ChangedOrder(new: changes[$0]) }
        return (DashboardStatements.makeOrders, types.parameters(rows))
    }

    /// Locks and reads the rows that others have made meanwhile; nil when there are none.
    public func lockingMade(after locked: QueryResult, made: QueryResult) throws -> (Statement, Parameters)? {
        let others = try madeByOthers(locked, made)
        return others.isEmpty ? nil : (DashboardStatements.lockOrdersOrFail, ids(others))
    }

    private func ids(_ places: [Int]) -> Parameters {
        var ids = TextArray(reservingBytes: places.count * 40)
        for place in places { ids.append(changes[place].orderID) }
        return Parameters { $0.append(ids) }
    }

    /// The places of the changes whose orders had no row.
    private func unknown(_ locked: QueryResult) throws -> [Int] {
        if locked.rowCount == changes.count { return [] }
        var isKnown = [Bool](repeating: false, count: changes.count)
        for row in 0..<locked.rowCount { isKnown[try StoredOrders(locked).place(row)] = true }
        return changes.indices.filter { !isKnown[$0] }
    }

    private func madeByOthers(_ locked: QueryResult, _ made: QueryResult) throws -> [Int] {
        let unknown = try unknown(locked)
        if made.rowCount == unknown.count { return [] }
        let own = Set(try (0..<made.rowCount).map { ExactText(try made.string($0, 0)) })
        return unknown.filter { !own.contains(ExactText(changes[$0].orderID)) }
    }

    // MARK: the counters

    /// Writes what the orders are now, and adds to the counters what they count for now less what they did before.
    ///
    /// - Parameter lane: the transaction's own.
    /// - Throws: ``EventFailure`` when a sum has more digits than a decimal can; another error when a stored row is not
    ///   of the form that this program writes.
    public func closing(
        after opened: Opened, lane: Int16, _ types: DashboardTypes
    ) throws -> [(Statement, Parameters)] {
        var counters = CounterChanges()
        var changed: [ChangedOrder] = []
        changed.reserveCapacity(opened.locked.rowCount)
        do {
            let locked = StoredOrders(opened.locked)
            for row in 0..<opened.locked.rowCount {
                try merge(changes[try locked.place(row)], locked, row, into: &counters, &changed)
            }
            if let made = opened.made {
                let others = try madeByOthers(opened.locked, made)
                try countNew(Set(try unknown(opened.locked)).subtracting(others), into: &counters)
                if let lockedMade = opened.lockedMade {
                    let stored = StoredOrders(lockedMade)
                    for row in 0..<lockedMade.rowCount {
                        try merge(changes[others[try stored.place(row)]], stored, row, into: &counters, &changed)
                    }
                }
            }
            let counting = try counters.statements(lane: lane)
            return changed.isEmpty
                ? counting : [(DashboardStatements.writeOrders, types.parameters(changed))] + counting
        } catch is DecimalOverflow {
            throw EventFailure("amount_overflow", "a sum of amounts has more than 38 digits")
        }
    }

    private func countNew(_ places: Set<Int>, into counters: inout CounterChanges) throws(DecimalOverflow) {
        for place in places {
            try counters.move(from: .nothing, to: Contribution(of: changes[place]))
        }
    }

    private func merge(
        _ change: OrderFacts, _ stored: StoredOrders, _ row: Int, into counters: inout CounterChanges,
        _ changed: inout [ChangedOrder]
    ) throws {
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
        try counters.move(from: Contribution(of: before), to: Contribution(of: after))
        changed.append(ChangedOrder(after, before: before))
    }
}

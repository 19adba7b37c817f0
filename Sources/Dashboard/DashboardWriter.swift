public import Postgres
internal import Synchronization

/// Writes the events of a batch into the read model. The number of round trips hardly depends on the size of the batch.
public final class DashboardWriter: Sendable {
    /// Runs statements in one round trip.
    public typealias Exchange = @Sendable ([(Statement, Parameters)]) async throws -> [QueryResult]

    /// The OIDs of the types. They are read once, because all connections of a writer use one schema.
    private let types = Mutex<DashboardTypes?>(nil)

    /// The number of orders that one statement locks. They are merged while the next statement runs.
    private let partSize: Int

    public convenience init() {
        self.init(partSize: 400)
    }

    init(partSize: Int) {
        self.partSize = partSize
    }

    /// Merges the changes into the orders of the read model, and updates the counters.
    ///
    /// - Parameter changes: one change for each order.
    /// - Throws: `PostgresError`, a transient one if two transactions obstructed each other; `EventFailure` if a sum
    ///   has too many digits; another error if a stored row has an invalid form.
    public func write(_ changes: [OrderFacts], in transaction: PostgresTransaction) async throws {
        try await write(changes) { try await transaction.pipeline($0) }
    }

    /// Like ``write(_:in:)``, but sends all statements of the transaction through `exchange`.
    // It does not run on the caller's actor, which may be the connection's thread. That would merge before it sends.
    @concurrent
    public func write(_ changes: [OrderFacts], by exchange: @escaping Exchange) async throws {
        if changes.isEmpty { return }
        do {
            let batch = DashboardBatch(changes, try await types(exchange), partSize: partSize)
            try await Self.write(batch, exchange)
        } catch {
            // The schema may have been created again with other OIDs.
            types.withLock { $0 = nil }
            throw error
        }
    }

    private func types(_ exchange: Exchange) async throws -> DashboardTypes {
        if let known = types.withLock({ $0 }) { return known }
        let asked = try DashboardTypes(try await exchange([(DashboardStatements.types, Parameters())])[0])
        types.withLock { $0 = asked }
        return asked
    }

    /// Writes a batch. Results are processed while the database executes the next statements, because a transaction
    /// that waits for its client holds locks longer.
    private static func write(_ batch: consuming DashboardBatch, _ exchange: @escaping Exchange) async throws {
        let parts = batch.parts
        for places in parts {
            let locking = batch.locking(places)
            async let rows = exchange([locking])
            try batch.merge()
            try batch.add(try await rows[0], of: places)
        }

        let making = batch.making()
        let opening = making + [takeLane] + batch.writing()
        async let answers = exchange(opening)
        try batch.merge()
        let opened = try await answers
        let lane = try await lane(from: opened[making.count], exchange)
        let others = making.isEmpty ? [] : try batch.add(made: opened[0])
        if !others.isEmpty {
            try batch.add(try await exchange([batch.lockingMade(others)])[0], of: others)
            try batch.merge()
        }

        let writing = batch.writing()
        if parts.count == 1 {
            try batch.countMade()
            let closing = writing + (try batch.counting(lane: lane))
            if !closing.isEmpty { _ = try await exchange(closing) }
        } else {
            async let written = exchange(writing)
            try batch.countMade()
            let counting = try batch.counting(lane: lane)
            _ = try await written
            if !counting.isEmpty { _ = try await exchange(counting) }
        }
    }

    // MARK: lanes

    /// The maximum number of transactions that change counters at once. Others wait.
    private static let lanes: Int32 = 64

    /// Takes a lane for the transaction, if one is free.
    private static var takeLane: (Statement, Parameters) {
        (DashboardStatements.takeLane, Parameters { $0.append(lanes) })
    }

    /// Takes a lane for the transaction. Waits if none is free.
    func lane(by exchange: @escaping Exchange) async throws -> Int16 {
        try await Self.lane(from: try await exchange([Self.takeLane])[0], exchange)
    }

    private static func lane(from taken: QueryResult, _ exchange: Exchange) async throws -> Int16 {
        if taken.rowCount > 0 { return Int16(truncatingIfNeeded: try taken.int64(0, 0)) }
        let awaited = try await exchange([(DashboardStatements.awaitLane, Parameters { $0.append(lanes) })])
        return Int16(truncatingIfNeeded: try awaited[0].int64(0, 0))
    }
}

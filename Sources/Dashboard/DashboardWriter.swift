public import Postgres
internal import Synchronization

/// What the events of a batch tell, written into the read model: a few round trips, whatever the batch's size.
public final class DashboardWriter: Sendable {
    /// Runs statements in one round trip.
    public typealias Exchange = @Sendable ([(Statement, Parameters)]) async throws -> [QueryResult]

    /// The types' OIDs, asked once: all connections of a writer are to one schema.
    private let types = Mutex<DashboardTypes?>(nil)

    /// So many orders are locked by one statement, and merged while the next is under way.
    private let partSize: Int

    public convenience init() {
        self.init(partSize: 400)
    }

    init(partSize: Int) {
        self.partSize = partSize
    }

    /// Merges the changes into the read model's orders, and counts.
    ///
    /// - Parameter changes: one an order.
    /// - Throws: `PostgresError`, a transient one when two transactions were in each other's way; `EventFailure` when a
    ///   sum has more digits than a decimal can; another error when a stored row is not of the form that this program
    ///   writes.
    public func write(_ changes: [OrderFacts], in transaction: PostgresTransaction) async throws {
        try await write(changes) { try await transaction.pipeline($0) }
    }

    /// The same, with all statements of a transaction going through `exchange`.
    // Not on the caller's actor: that may be the connection's thread, which would then merge before it sends.
    @concurrent
    public func write(_ changes: [OrderFacts], by exchange: @escaping Exchange) async throws {
        if changes.isEmpty { return }
        do {
            let batch = DashboardBatch(changes, try await types(exchange), partSize: partSize)
            try await Self.write(batch, exchange)
        } catch {
            // The schema may have been made anew, with other OIDs.
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

    /// What one answer tells is worked on while the database is at the statements after it: a transaction that waits
    /// for its client holds up everything.
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

    /// No more transactions than this count at once; the others wait.
    private static let lanes: Int32 = 64

    /// Takes a lane for the transaction, if one is free.
    private static var takeLane: (Statement, Parameters) {
        (DashboardStatements.takeLane, Parameters { $0.append(lanes) })
    }

    /// A lane of the transaction's own.
    func lane(by exchange: @escaping Exchange) async throws -> Int16 {
        try await Self.lane(from: try await exchange([Self.takeLane])[0], exchange)
    }

    private static func lane(from taken: QueryResult, _ exchange: Exchange) async throws -> Int16 {
        if taken.rowCount > 0 { return Int16(truncatingIfNeeded: try taken.int64(0, 0)) }
        let awaited = try await exchange([(DashboardStatements.awaitLane, Parameters { $0.append(lanes) })])
        return Int16(truncatingIfNeeded: try awaited[0].int64(0, 0))
    }
}

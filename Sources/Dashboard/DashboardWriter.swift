public import Postgres
internal import Synchronization

/// What the events of a batch tell, written into the read model: three round trips, whatever the batch's size.
public final class DashboardWriter: Sendable {
    /// The types' OIDs, asked once: all connections of a writer are to one schema.
    private let types = Mutex<DashboardTypes?>(nil)

    public init() {}

    /// Merges the changes into the read model's orders, and counts.
    ///
    /// - Parameter changes: one an order.
    /// - Throws: `PostgresError`, a transient one when two transactions were in each other's way; what
    ///   ``DashboardBatch/closing(after:lane:_:)`` throws.
    public func write(_ changes: [OrderFacts], in transaction: PostgresTransaction) async throws {
        if changes.isEmpty { return }
        do {
            let types = try await types(transaction)
            let batch = DashboardBatch(changes)
            let (opened, lane) = try await Self.open(batch, types, transaction)
            let closing = try batch.closing(after: opened, lane: lane, types)
            if !closing.isEmpty { _ = try await transaction.pipeline(closing) }
        } catch {
            // The schema may have been made anew, with other OIDs.
            types.withLock { $0 = nil }
            throw error
        }
    }

    /// Asks for the types' OIDs in this schema.
    public func types(_ transaction: PostgresTransaction) async throws -> DashboardTypes {
        if let known = types.withLock({ $0 }) { return known }
        let asked = try DashboardTypes(try await transaction.execute(DashboardStatements.types))
        types.withLock { $0 = asked }
        return asked
    }

    private static func open(
        _ batch: DashboardBatch, _ types: DashboardTypes, _ transaction: PostgresTransaction
    ) async throws -> (DashboardBatch.Opened, lane: Int16) {
        let (lock, ids) = batch.locking
        let locked = try await transaction.execute(lock, ids)
        guard let making = try batch.making(after: locked, types) else {
            let (take, lanes) = takeLane
            let taken = try await transaction.execute(take, lanes)
            return (DashboardBatch.Opened(locked: locked), try await lane(from: taken, transaction))
        }
        let results = try await transaction.pipeline([making, takeLane])
        var lockedMade: QueryResult?
        if let (lock, ids) = try batch.lockingMade(after: locked, made: results[0]) {
            lockedMade = try await transaction.execute(lock, ids)
        }
        let opened = DashboardBatch.Opened(locked: locked, made: results[0], lockedMade: lockedMade)
        return (opened, try await lane(from: results[1], transaction))
    }

    // MARK: lanes

    /// No more transactions than this count at once; the others wait.
    private static let lanes: Int32 = 64

    /// Takes a lane for the transaction, if one is free.
    public static var takeLane: (Statement, Parameters) {
        (DashboardStatements.takeLane, Parameters { $0.append(lanes) })
    }

    private static func lane(from taken: QueryResult, _ transaction: PostgresTransaction) async throws -> Int16 {
        if taken.rowCount > 0 { return Int16(truncatingIfNeeded: try taken.int64(0, 0)) }
        let awaited = try await transaction.execute(DashboardStatements.awaitLane, Parameters { $0.append(lanes) })
        return Int16(truncatingIfNeeded: try awaited.int64(0, 0))
    }
}

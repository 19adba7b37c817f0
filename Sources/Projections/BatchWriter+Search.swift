internal import Postgres
internal import StreamCore

/// Events were found that fail, but not all there is to be known for a commit around them.
struct FoundFailing: Error {
    let failures: [Int: ItemFailure]
}

extension BatchWriter {
    /// What an error of a batch's transaction means. Where failures are parked, an error that comes from an event is no
    /// end: the slice is tried again, around the events that fail.
    func resolve(
        _ error: any Error, _ batch: PreparedBatch<P.Event>, _ order: WriteOrder, _ session: Session
    ) async throws -> Committed {
        guard case .written(.permanent(_, let named)) = outcome(of: error, in: batch), parking != nil,
            applying.count > 1
        else { throw error }
        return try await commit(batch, order, session, .around(suspect: named ?? suspect(of: error, in: batch)))
    }

    /// Applies those of a slice's events that do not fail, behind savepoints: a try that fails costs neither the work
    /// done before it nor a commit. Events behind one that fails, of the same key, are not tried.
    ///
    /// - Returns: the events that failed, and those that were applied.
    /// - Throws: ``FoundFailing`` where the brake would open.
    func apply(
        _ fresh: ItemSelection, of batch: PreparedBatch<P.Event>, _ search: FailureSearch,
        in transaction: PostgresTransaction
    ) async throws -> (failures: [Int: ItemFailure], applied: [Int]) {
        var search = search
        var (failures, applied): ([Int: ItemFailure], [Int]) = ([:], [])
        var blocked: Set<SequenceKey> = []
        var inARow = failuresInARow
        while let part = search.next {
            let free = part.map { fresh[$0] }.filter { item in
                blocked.isEmpty || batch.sequence(item).map { !blocked.contains($0) } ?? true
            }
            if free.isEmpty {
                search.succeeded()
                continue
            }
            applying = .list(free)
            do {
                try await transaction.withSavepoint {
                    try await projection.apply(batch.events(applying), in: transaction)
                }
                search.succeeded()
                applied += free
                inARow = 0
            } catch {
                guard case .written(.permanent(let failure, let named)) = outcome(of: error, in: batch) else {
                    throw error
                }
                if part.count == 1 {
                    failures[free[0]] = failure
                    if parking?.route.order == .key, let key = batch.sequence(free[0]) { blocked.insert(key) }
                    inARow += 1
                    if let limit = parking?.route.brakeAfter, limit > 0, inARow >= limit {
                        throw FoundFailing(failures: failures)
                    }
                }
                let suspect = named ?? self.suspect(of: error, in: batch)
                search.failed(suspect: suspect.flatMap { fresh.firstIndex(of: $0) })
            }
        }
        return (failures, applied)
    }

    /// The plan for a slice of which some events have just failed, and the rest was applied.
    ///
    /// - Throws: ``FoundFailing`` when it is not that rest which the plan applies, or more than one transaction may park.
    func plan(
        _ batch: PreparedBatch<P.Event>, _ items: ItemSelection, _ slice: BatchSlice, _ found: Parked,
        around failures: [Int: ItemFailure], applied: [Int], _ fresh: ItemSelection
    ) throws -> SlicePlan {
        var slice = slice
        slice.failures.merge(failures) { known, _ in known }
        let limit = parking?.route.brakeAfter ?? 0
        let isWithinBudget = limit == 0 || slice.failures.count <= max(1, limit - failuresInARow)
        let fresh = Set(fresh)
        guard isWithinBudget, let plan = try? plan(batch, items, slice, found),
            plan.applied.filter(fresh.contains) == applied.sorted()
        else { throw FoundFailing(failures: failures) }
        return plan
    }

    /// The first event whose aggregate the server names when it quotes the row that it refuses. A mere guess, which
    /// saves tries when it is right.
    private func suspect(of error: any Error, in batch: PreparedBatch<P.Event>) -> Int? {
        guard let detail = (error as? PostgresError)?.detail else { return nil }
        let words = Set(detail.split { "(),=\"' ".contains($0) })
        return applying.first { item in batch.identity(item).map { words.contains($0.aggregateID[...]) } ?? false }
    }
}

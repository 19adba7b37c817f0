internal import Postgres
internal import StreamCore

extension BatchWriter {
    /// The number of events that may fail in a tolerant search before one is applied. If all of them fail with an error
    /// that a single event rarely causes, the search ends without a result.
    private static var unprovenLimit: Int { 4 }

    /// Applies the events of a slice that do not fail. Each attempt runs in a savepoint, so a failed attempt costs
    /// neither the previous work nor a commit. Events after a failing event of the same key are not tried.
    ///
    /// - Parameters:
    ///   - fresh: the events to apply.
    ///   - batch: the batch that contains them.
    ///   - search: the search that selects the next attempt.
    ///   - isTolerant: whether an event counts as the cause of any error with which it fails alone.
    ///   - transaction: the transaction of the slice.
    /// - Returns: the events that failed, and the events that were applied.
    /// - Throws: ``FoundFailing`` if a circuit breaker would open; ``Unproven`` if it is unclear whether the events
    ///   cause the error.
    func apply(
        _ fresh: ItemSelection, of batch: PreparedBatch<P.Event>, _ search: FailureSearch, isTolerant: Bool,
        in transaction: PostgresTransaction
    ) async throws -> (failures: [Int: ItemFailure], applied: [Int]) {
        var search = search
        var (failures, applied): ([Int: ItemFailure], [Int]) = ([:], [])
        var doubts: (failures: [Int: ItemFailure], cause: DatabaseFailure?) = ([:], nil)
        var blocked: Set<SequenceKey> = []
        var tally = parking?.tally ?? FailureTally([:], limit: 0)
        while let part = search.next {
            let free = part.map { fresh[$0] }.filter { item in
                blocked.isEmpty || batch.sequence(item).map { !blocked.contains($0) } ?? true
            }
            if free.isEmpty {
                search.succeeded()
                continue
            }
            do {
                try await attempt(free, of: batch, in: transaction)
                search.succeeded()
                applied += free
                parking?.count(free, of: batch, in: &tally)
            } catch {
                let (failure, fault) = try blamed(error, in: batch, isTolerant: isTolerant)
                if part.count == 1 {
                    failures[free[0]] = failure
                    if case .doubtful(_, let cause) = fault.cause {
                        doubts.failures[free[0]] = failure
                        doubts.cause = cause
                    }
                    if parking?.route.order == .key, let key = batch.sequence(free[0]) { blocked.insert(key) }
                    let partition = batch.partition(free[0])
                    tally.failed(failure.failure.errorClass, batch.eventType(free[0]), in: partition)
                    try check(doubts, failures, isOpen: tally.isOpen(partition), hasApplied: !applied.isEmpty)
                }
                let suspect = fault.culprit ?? fault.suspect
                search.failed(suspect: suspect.flatMap { fresh.firstIndex(of: $0) })
            }
        }
        if let cause = doubts.cause {
            if applied.isEmpty { throw Unproven(failures: doubts.failures, cause: cause) }
            try await confirm(doubts.failures.keys.sorted(), cause, of: batch, in: transaction)
        }
        return (failures, applied)
    }

    private func attempt(
        _ items: [Int], of batch: PreparedBatch<P.Event>, in transaction: PostgresTransaction
    ) async throws(ApplyFault) {
        do {
            try await transaction.withSavepoint {
                handler.enter(session?.connection.serverWaits)
                defer { handler.leave() }
                try await projection.apply(batch.events(.list(items)), in: transaction)
            }
        } catch {
            throw ApplyFault(items: .list(items), cause: error)
        }
    }

    /// Why an attempt failed.
    ///
    /// - Throws: `error` if no event can be the cause.
    private func blamed(
        _ error: ApplyFault, in batch: PreparedBatch<P.Event>, isTolerant: Bool
    ) throws(ApplyFault) -> (ItemFailure, WriteFault) {
        guard let fault = WriteFault(error, in: batch) else { throw error }
        switch fault.cause {
        case .event(let failure): return (failure, fault)
        case .doubtful(let failure, _):
            guard isTolerant else { throw error }
            return (failure, fault)
        }
    }

    /// Ends a search that has found enough.
    private func check(
        _ doubts: (failures: [Int: ItemFailure], cause: DatabaseFailure?), _ failures: [Int: ItemFailure],
        isOpen: Bool, hasApplied: Bool
    ) throws {
        if let cause = doubts.cause, !hasApplied, doubts.failures.count >= Self.unprovenLimit {
            throw Unproven(failures: doubts.failures, cause: cause)
        }
        guard isOpen else { return }
        let known = failures.filter { doubts.failures[$0.key] == nil }
        if known.isEmpty, let cause = doubts.cause { throw Unproven(failures: doubts.failures, cause: cause) }
        throw FoundFailing(failures: known)
    }

    /// Tries failed events again after others were applied. If one succeeds now, the cause was temporary and no event
    /// was to blame.
    ///
    /// - Throws: ``PassesNow``.
    private func confirm(
        _ items: [Int], _ cause: DatabaseFailure, of batch: PreparedBatch<P.Event>, in transaction: PostgresTransaction
    ) async throws {
        for item in items {
            do {
                try await attempt([item], of: batch, in: transaction)
            } catch {
                _ = try blamed(error, in: batch, isTolerant: true)
                continue
            }
            throw PassesNow(cause: cause)
        }
    }

    /// The plan for a slice of which some events failed and the others were applied.
    ///
    /// - Throws: ``FoundFailing`` if the plan would apply other events than those, or would park more than one
    ///   transaction may park.
    func plan(
        _ batch: PreparedBatch<P.Event>, _ items: ItemSelection, _ slice: BatchSlice, _ found: Parked,
        around failures: [Int: ItemFailure], applied: [Int], _ fresh: ItemSelection
    ) throws -> SlicePlan {
        var slice = slice
        slice.failures.merge(failures) { known, _ in known }
        let fresh = Set(fresh)
        guard let plan = try? parking?.plan(batch, items, slice, found),
            plan.applied.filter(fresh.contains) == applied.sorted()
        else { throw FoundFailing(failures: failures) }
        return plan
    }
}

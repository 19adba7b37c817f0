internal import Postgres
internal import StreamCore

/// Events were found that fail, but not all there is to be known for a commit around them.
struct FoundFailing: Error {
    let failures: [Int: ItemFailure]
}

/// Events fail, each by itself, with an error that is seldom an event's, and none was applied beside them: whether it
/// is they who are to blame is not known.
struct Unproven: Error {
    let failures: [Int: ItemFailure]
    let cause: DatabaseFailure
}

/// An event that failed alone passes now: the error was none of its own.
struct PassesNow: Error {
    let cause: DatabaseFailure
}

extension BatchWriter {
    /// Events that may fail by themselves before one is applied, in a search that is tolerant: when each of them fails
    /// with an error that is seldom an event's, the search is in vain.
    private static var unprovenLimit: Int { 4 }

    /// What an error of a batch's transaction means. Where failures are parked, an error that may come from an event is
    /// no end: the slice is tried again, around the events that fail.
    ///
    /// Whose it is can be told at once from an error that only an event can cause. Of what looks like everybody's
    /// (a missing table, but of one trigger's making) an event is to blame when it fails alone and others do not. The
    /// same goes for what passes by itself as a rule (a lock, a timeout), once it has not passed for a while.
    func resolve(
        _ error: any Error, _ batch: PreparedBatch<P.Event>, _ order: WriteOrder, _ session: Session
    ) async throws -> Committed {
        guard parking != nil, !applying.isEmpty else { throw error }
        let named: Int?
        var isTolerant = false
        switch outcome(of: error, in: batch) {
        case .written(.permanent(_, let item)):
            named = item
            if applying.count == 1 {
                // The statements are prepared again by now.
                guard (error as? PostgresError)?.sqlState?.mayBeOutdatedStatement == true else { throw error }
                return try await commit(batch, order, session, .together)
            }
        case .databaseFailed(let cause), .written(.tooSlow(let cause)):
            guard let failure = doubtful(error), cause.kind == .everything || order.isPersistent else { throw error }
            if applying.count == 1 { throw Unproven(failures: [applying[0]: failure], cause: cause) }
            named = nil
            isTolerant = true
        default: throw error
        }
        let suspect = named ?? suspect(of: error, in: batch)
        return try await commit(batch, order, session, .around(suspect: suspect, isTolerant: isTolerant))
    }

    /// An event's failure with an error that need not be its own; nil when it cannot be.
    private func doubtful(_ error: any Error) -> ItemFailure? {
        guard let error = error as? PostgresError, error.kind != .permanent, error.mayConcernOneRow else { return nil }
        let errorClass = error.sqlState.map { "sql_\($0)" } ?? "sql_timeout"
        return ItemFailure(stage: .apply, failure: EventFailure(errorClass, error.description))
    }

    /// Applies those of a slice's events that do not fail, behind savepoints: a try that fails costs neither the work
    /// done before it nor a commit. Events behind one that fails, of the same key, are not tried.
    ///
    /// - Parameter isTolerant: an event may be to blame for any error that it fails with alone.
    /// - Returns: the events that failed, and those that were applied.
    /// - Throws: ``FoundFailing`` where a circuit breaker would open; ``Unproven`` when an error may be anybody's.
    func apply(
        _ fresh: ItemSelection, of batch: PreparedBatch<P.Event>, _ search: FailureSearch, isTolerant: Bool,
        in transaction: PostgresTransaction
    ) async throws -> (failures: [Int: ItemFailure], applied: [Int]) {
        var search = search
        var (failures, applied): ([Int: ItemFailure], [Int]) = ([:], [])
        var doubts: (failures: [Int: ItemFailure], cause: DatabaseFailure?) = ([:], nil)
        var blocked: Set<SequenceKey> = []
        var tally = FailureTally(failureCounts, limit: parking?.route.breakerAfter ?? 0)
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
                count(free, of: batch, in: &tally)
            } catch {
                var (failure, named) = try blamed(error, in: batch, isTolerant: isTolerant)
                if part.count == 1 {
                    failures[free[0]] = failure
                    if let cause = cause(of: error) {
                        doubts.failures[free[0]] = failure
                        doubts.cause = cause
                    }
                    if parking?.route.order == .key, let key = batch.sequence(free[0]) { blocked.insert(key) }
                    let partition = batch.partition(free[0])
                    tally.failed(failure.failure.errorClass, batch.eventType(free[0]), in: partition)
                    try check(doubts, failures, isOpen: tally.isOpen(partition), hasApplied: !applied.isEmpty)
                }
                named = named ?? suspect(of: error, in: batch)
                search.failed(suspect: named.flatMap { fresh.firstIndex(of: $0) })
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
    ) async throws {
        applying = .list(items)
        try await transaction.withSavepoint {
            try await projection.apply(batch.events(applying), in: transaction)
        }
    }

    /// Why a try failed, and which event is to blame as far as it is known.
    ///
    /// - Throws: the error, when no event can be to blame.
    private func blamed(
        _ error: any Error, in batch: PreparedBatch<P.Event>, isTolerant: Bool
    ) throws -> (ItemFailure, Int?) {
        if case .written(.permanent(let failure, let named)) = outcome(of: error, in: batch) { return (failure, named) }
        guard isTolerant, let failure = doubtful(error) else { throw error }
        return (failure, nil)
    }

    /// What an error is when it is not an event's; nil when it is.
    private func cause(of error: any Error) -> DatabaseFailure? {
        doubtful(error) == nil ? nil : failure(of: error)
    }

    /// Ends a search that has found enough for now.
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

    /// Tries the events again that others were applied beside: what failed may have passed meanwhile, and then it was
    /// none of theirs.
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

    /// The plan for a slice of which some events have just failed, and the rest was applied.
    ///
    /// - Throws: ``FoundFailing`` when it is not that rest which the plan applies, or more than one transaction may
    ///   park.
    func plan(
        _ batch: PreparedBatch<P.Event>, _ items: ItemSelection, _ slice: BatchSlice, _ found: Parked,
        around failures: [Int: ItemFailure], applied: [Int], _ fresh: ItemSelection
    ) throws -> SlicePlan {
        var slice = slice
        slice.failures.merge(failures) { known, _ in known }
        let fresh = Set(fresh)
        guard let plan = try? plan(batch, items, slice, found),
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

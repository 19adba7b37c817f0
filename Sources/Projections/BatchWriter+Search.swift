internal import Postgres
internal import StreamCore

extension BatchWriter {
    /// What an error of a batch's transaction means; where failures are parked, with the events that are to blame.
    func culprits(
        of error: any Error, _ batch: PreparedBatch<P.Event>, _ order: WriteOrder, _ session: Session
    ) async -> RunnerState.Input {
        let outcome = outcome(of: error, in: batch)
        guard case .written(.permanent(_, let named)) = outcome, parking != nil, applying.count > 1 else {
            return outcome
        }
        let suspect = named ?? suspect(of: error, in: batch)
        do {
            let failures = try await search(batch, order, session, suspect)
            return failures.isEmpty ? outcome : .written(.failing(failures))
        } catch {
            return self.outcome(of: error, in: batch)
        }
    }

    /// Finds the events of a slice that fail, in one transaction that is taken back: with savepoints, a try costs
    /// neither the work done before it nor a commit.
    ///
    /// What is found is what the transaction that parks would find: events behind one that fails, of the same key, are
    /// not tried. The search ends where the brake would open.
    private func search(
        _ batch: PreparedBatch<P.Event>, _ order: WriteOrder, _ session: Session, _ suspect: Int?
    ) async throws -> [Int: ItemFailure] {
        var failures: [Int: ItemFailure] = [:]
        do {
            try await session.connection.withTransaction { transaction in
                failures = try await search(batch, order, session, suspect, in: transaction)
                throw TakenBack()
            }
        } catch is TakenBack {}
        return failures
    }

    private func search(
        _ batch: PreparedBatch<P.Event>, _ order: WriteOrder, _ session: Session, _ suspect: Int?,
        in transaction: PostgresTransaction
    ) async throws -> [Int: ItemFailure] {
        let items = batch.items(of: order.slice)
        let lookup = lookup(batch, items, session)
        let results = try await transaction.pipeline([session.offsets.move(order.moves)] + (lookup?.statements ?? []))
        guard results[0].affectedRows == order.moves.count else { throw Fenced() }
        let plan = try plan(batch, items, order.slice, try lookup?.read(results) ?? Parked())
        let applied = plan?.applied ?? items
        let inserted = try await transaction.execute(session.insertProcessed, batch.processed(applied, session.offsets))
        let fresh = try batch.unseen(applied, inserted: inserted)

        var search = FailureSearch(count: fresh.count, suspect: suspect.flatMap { fresh.firstIndex(of: $0) })
        var failures: [Int: ItemFailure] = [:]
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
                inARow = 0
            } catch {
                guard case .written(.permanent(let failure, let named)) = outcome(of: error, in: batch) else {
                    throw error
                }
                if part.count == 1 {
                    failures[free[0]] = failure
                    if parking?.route.order == .key, let key = batch.sequence(free[0]) { blocked.insert(key) }
                    inARow += 1
                    if let limit = parking?.route.brakeAfter, limit > 0, inARow >= limit { break }
                }
                let suspect = named ?? self.suspect(of: error, in: batch)
                search.failed(suspect: suspect.flatMap { fresh.firstIndex(of: $0) })
            }
        }
        return failures
    }

    /// The first event whose aggregate the server names when it quotes the row that it refuses. A mere guess, which
    /// saves tries when it is right.
    private func suspect(of error: any Error, in batch: PreparedBatch<P.Event>) -> Int? {
        guard let detail = (error as? PostgresError)?.detail else { return nil }
        let words = Set(detail.split { "(),=\"' ".contains($0) })
        return applying.first { item in batch.identity(item).map { words.contains($0.aggregateID[...]) } ?? false }
    }
}

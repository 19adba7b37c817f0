internal import Kafka
internal import Postgres
internal import StreamCore

// The path of a record: consumer → batch → decode → parked events → duplicates → apply → letters → commit. Other types
// decide about the rest: RunnerState about failures, ParkingPlan about parked events and blocked keys, and RunnerLoop
// about what runs when.

extension Intake {
    /// Consumer → batch → decode.
    ///
    /// - Parameters:
    ///   - order: the partitions whose records are taken, with the first offset of each.
    ///   - round: receives the report and the batch.
    func poll(_ order: IntakeOrder, _ round: inout Round) async throws(KafkaError) {
        switch try await consumer.poll(limits) {
        case .batch(let records):
            await pace?.wait(forTaking: records.count)
            decoding.enter()
            defer { decoding.leave() }
            take(
                PreparedBatch(
                    records, for: projection, from: order.positions, expecting: order.marks, parking: route, of: group,
                    isTraced: isTraced),
                &round)
        case .ends(let ends):
            take(PreparedBatch(ends: ends, from: order.positions, expecting: order.marks), &round)
        case .assigned(let partitions): round.report.polled = .assigned(partitions)
        case .revoked(let partitions): round.report.polled = .revoked(partitions)
        case .lost(let partitions): round.report.polled = .lost(partitions)
        case .error(let error):
            if error.isOffsetOutOfRange, let partition = error.topicPartition {
                round.report.polled = .outOfRange([partition])
            } else if !isAboutMissingRetries(error) {
                round.report.failure = error
            }
        case .idle: break
        }
    }

    private func take(_ batch: PreparedBatch<P.Event>, _ round: inout Round) {
        round.report.continuity = batch.continuity
        round.report.ends = batch.ends
        guard !batch.layout.parts.isEmpty else { return }
        round.report.polled = .batch(batch.layout)
        round.batch = batch
    }
}

extension BatchWriter {
    /// Parked events → duplicates → apply → letters → commit, in one transaction with the offsets. This is what makes
    /// it *exactly once*.
    ///
    /// The offsets are moved first. That locks their rows, so a second owner stops here before it has done any work.
    /// Parked events are looked up after that (see ``ParkingPlan``), and only if there may be some.
    func commit(
        _ batch: PreparedBatch<P.Event>, _ order: WriteOrder, _ session: Session, applying: inout ItemSelection
    ) async throws -> Committed {
        let application = order.application
        let offsets = session.tables.offsets
        return try await session.connection.withTransaction { transaction in
            let items = batch.items(of: order.slice)
            var statements = [offsets.move(order.moves)]
            var found = Parked()
            let lookup = parking?.lookup(batch, items, session.tables)
            if let lookup {
                let results = try await transaction.pipeline(statements + lookup.statements)
                guard results[0].affectedRows == order.moves.count else { throw Fenced() }
                found = try lookup.read(results)
                statements = []
            }
            var plan = try parking?.plan(batch, items, order.slice, found)
            if let plan, !order.mayWriteLetters { try parking?.requireNoLetters(plan, batch, items) }

            let applied = plan?.applied ?? items
            applying = applied
            let remembers = remembersEvents && !applied.isEmpty
            if remembers { statements.append((session.insertProcessed, batch.processed(applied, offsets))) }
            let reads = application.isTogether ? projection.reads(for: batch.events(applied)) : []
            var results = try await transaction.pipeline(statements + reads)
            if lookup == nil, results[0].affectedRows != order.moves.count { throw Fenced() }
            let answers = Array(results.suffix(reads.count))
            results.removeLast(reads.count)
            var fresh = remembers ? try batch.unseen(applied, inserted: results[results.count - 1]) : applied
            applying = fresh
            var committed = Committed(duplicates: applied.count - fresh.count)

            if let search = application.search(fresh) {
                let (failures, rest) = try await apply(
                    fresh, of: batch, search, isTolerant: application.isTolerant, in: transaction)
                committed.failureDistance = failures.isEmpty ? nil : max(1, fresh.count / (failures.count + 1))
                if !failures.isEmpty {
                    plan = try self.plan(
                        batch, items, order.slice, found, around: failures, applied: rest, fresh)
                    if let plan, !order.mayWriteLetters { try parking?.requireNoLetters(plan, batch, items) }
                    let kept = Set(rest)
                    if remembers {
                        let rest = ItemSelection.list(fresh.filter { !kept.contains($0) })
                        try await transaction.execute(session.deleteProcessed, batch.processed(rest, offsets))
                    }
                    fresh = .list(rest.sorted())
                }
                applying = fresh
            } else if !fresh.isEmpty {
                handler.enter(session.connection.serverWaits)
                defer { handler.leave() }
                try await projection.apply(batch.events(fresh), reading: answers, in: transaction)
            }
            committed.fresh = fresh
            if let notifyChannel, !fresh.isEmpty { try await transaction.notify(notifyChannel) }

            if let parking, parking.hasWork(plan) {
                // An error up to here may be caused by an event. A later error is not.
                try await transaction.flush()
                committed.parking = try await parking.write(
                    plan, batch, items, fresh: fresh, session.tables, in: transaction)
            }
            return committed
        }
    }

    /// Duplicates → apply → commit in one round trip, for a few events of a projection that only queues statements.
    ///
    /// The statements fail if another owner has moved the offsets or an event was applied before. Then, and if anything
    /// else fails, the transaction is rolled back, and ``commit(_:_:_:applying:)`` finds out and handles it.
    ///
    /// - Returns: nil if nothing was changed.
    /// - Throws: ``TransactionError/unknownOutcome(_:)``.
    func commitAtOnce(
        _ batch: PreparedBatch<P.Event>, _ order: WriteOrder, _ session: Session
    ) async throws -> Committed? {
        let items = batch.items(of: order.slice)
        guard projection.onlyQueues, (1...Self.fewItems).contains(items.count), order.application.isTogether,
            order.slice.failures.isEmpty, batch.retries.isEmpty, items.allSatisfy({ batch.identity($0) != nil }),
            parking?.hasWork(nil) != true, parking?.lookup(batch, items, session.tables) == nil
        else { return nil }
        if ordinaryWrites > 0 {
            ordinaryWrites -= 1
            return nil
        }
        let offsets = session.tables.offsets
        do {
            return try await session.connection.withTransaction { transaction in
                let (require, moves) = offsets.require(order.moves)
                try await transaction.enqueue(require, moves)
                if remembersEvents {
                    try await transaction.enqueue(session.insertUnprocessed, batch.processed(items, offsets))
                }
                handler.enter(session.connection.serverWaits)
                defer { handler.leave() }
                try await projection.apply(batch.events(items), in: transaction)
                if let notifyChannel { try await transaction.notify(notifyChannel) }
                var committed = Committed()
                committed.fresh = items
                return committed
            }
        } catch {
            if case TransactionError.unknownOutcome = error { throw error }
            // The next events may be duplicates as well.
            ordinaryWrites = Self.ordinaryWritesAfterFailure
            return nil
        }
    }

    /// The largest number of events that are applied at once. With more of them a round trip does not matter, and it is
    /// likelier that one of them is a duplicate.
    private static var fewItems: Int { 16 }
    private static var ordinaryWritesAfterFailure: Int { 100 }
}

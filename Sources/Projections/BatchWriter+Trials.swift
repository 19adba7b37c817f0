internal import Kafka
internal import Postgres
internal import StreamCore

// Trials: events that are applied alone and rolled back.

extension BatchWriter {
    /// Tries one event and rolls it back. The result shows whether other events that fail are the cause.
    func probe(_ batch: PreparedBatch<P.Event>, _ order: ProbeOrder) async -> RunnerState.Input {
        do {
            try await tryAlone(order.item, of: batch, try await openSession())
            return .probed(nil)
        } catch {
            return failedAlone(error, in: batch).map { .probed($0) } ?? Self.failed(trying: error)
        }
    }

    /// Tries an event of a partition whose circuit breaker is open, and rolls it back. If the event can be applied, the
    /// counts that its type resets end.
    ///
    /// A blocked event is acceptable too: if it can be applied, not all events of its type fail.
    func tryBreaker(_ batch: PreparedBatch<P.Event>, _ order: TrialOrder) async -> RunnerState.Input {
        guard let parking else { return .tried(.nothingToTry) }
        let isAny = order.kinds.contains(.run)
        let types = Set(order.kinds.map(\.eventType))
        let candidates = order.candidates.filter { isAny || types.contains(batch.eventType($0)) }
        guard !candidates.isEmpty else { return .tried(.nothingToTry) }
        let item = candidates[CircuitBreaker.place(of: order.number, among: candidates.count)]
        do {
            let session = try await openSession()
            try await tryAlone(item, of: batch, session)
            let open = try await parking.passed(
                batch.eventType(item), in: order.partition, session.tables, on: session.connection)
            return .tried(.passed(open: open))
        } catch let error as LetterError {
            return .tried(.lettersFailed(error))
        } catch {
            let failure = failedAlone(error, in: batch)
            return failure.map { .tried(.failed($0)) } ?? Self.failed(trying: error)
        }
    }

    private func tryAlone(_ item: Int, of batch: PreparedBatch<P.Event>, _ session: Session) async throws {
        do {
            try await session.connection.withTransaction { transaction in
                do {
                    handler.enter(session.connection.serverWaits)
                    defer { handler.leave() }
                    try await projection.apply(batch.events(.list([item])), in: transaction)
                }
                try await transaction.execute(.unprepared("SET CONSTRAINTS ALL IMMEDIATE"))
                throw TakenBack()
            }
        } catch is TakenBack {
        } catch {
            throw ApplyFault(items: .list([item]), cause: error)
        }
    }

    private static func failed(trying error: any Error) -> RunnerState.Input {
        failed((error as? ApplyFault)?.cause ?? error)
    }

    /// The event's own failure; nil if the error says nothing about the event.
    private func failedAlone(_ error: any Error, in batch: PreparedBatch<P.Event>) -> EventFailure? {
        guard let error = error as? ApplyFault, case .event(let failure)? = WriteFault(error, in: batch)?.cause
        else { return nil }
        return failure.failure
    }
}

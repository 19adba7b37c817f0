internal import StreamCore

// Events that may be the cause of a failed transaction. This file decides how to react; the database worker only
// reports what it saw.

extension RunnerState {
    /// Handles a failed transaction. If failures are parked and an event may be the cause, the slice is tried again
    /// around the failing events.
    ///
    /// Some errors can only be caused by an event. Other errors look general, such as a missing table, although only
    /// one trigger needs that table. For those, an event is the cause if it fails alone and others do not. The same
    /// applies to errors that are usually temporary (a lock, a timeout), if they do not disappear for some time.
    mutating func failed(_ order: WriteOrder, _ fault: WriteFault) -> [Action] {
        let mayTryAgain = settings.parks && !order.isSecondTry && !fault.items.isEmpty
        switch fault.cause {
        case .event(let failure):
            if mayTryAgain, fault.items.count > 1 {
                return tryAgain(.around(suspect: fault.culprit ?? fault.suspect, isTolerant: false))
            }
            if mayTryAgain, fault.mayBeOutdated { return tryAgain(.together) }
            return failedForGood(order, failure, fault.culprit)
        case .doubtful(let failure, let cause):
            if mayTryAgain, cause.kind == .everything || doubtfulFailures >= settings.patience {
                guard fault.items.count == 1 else { return tryAgain(.around(suspect: fault.suspect, isTolerant: true)) }
                return failedWithoutProof(order, [fault.items[0]: failure], cause)
            }
            return cause.isTooSlow ? tooSlow(cause) : databaseFailed(cause)
        }
    }

    private mutating func tryAgain(_ application: Application) -> [Action] {
        queue[0].secondTry = application
        return []
    }

    /// Handles a slice that took too long. A slice of several events is halved. For a single event, the attempt counts
    /// as half of ``Settings/patience``, so that the event is soon treated as the cause.
    mutating func tooSlow(_ failure: DatabaseFailure) -> [Action] {
        let doubts = doubtfulFailures + (queue[0].plan.shrink() ? 0 : max(1, settings.patience / 2))
        defer { doubtfulFailures = doubts }
        return databaseFailed(failure)
    }

    /// Looks for an event that can be applied while these cannot: first in the rest of the batch, if the slice was only
    /// a part of it, and then among all records that were taken.
    mutating func failedWithoutProof(
        _ order: WriteOrder, _ failures: [Int: ItemFailure], _ cause: DatabaseFailure
    ) -> [Action] {
        if failures.count == 1, let item = failures.keys.first, queue[0].plan.widen(beyond: order.slice, around: item) {
            return []
        }
        queue[0].plan.suspect = nil
        let candidates = queue.flatMap { batch in batch.plan.candidates.map { (batch.id, $0) } }
            .filter { $0.0 != order.batch || failures[$0.1] == nil }
        guard !candidates.isEmpty, !isStopping else { return databaseFailed(cause) }
        let (batch, item) = candidates[CircuitBreaker.place(of: backoff.attempts, among: candidates.count)]
        unproven = (failures, cause)
        database = .probing
        return [.probe(ProbeOrder(batch: batch, item: item))]
    }

    /// - Parameter failure: why the other event cannot be applied either; nil if it can.
    mutating func probed(_ failure: EventFailure?) -> [Action] {
        guard let unproven else { return [] }
        self.unproven = nil
        database = .idle
        guard failure == nil else { return databaseFailed(unproven.cause) }
        recovered()
        if let example = unproven.failures.first { note(.split(error: example.value.failure)) }
        if !queue.isEmpty { queue[0].plan.mark(unproven.failures) }
        return []
    }

    mutating func failedForGood(_ order: WriteOrder, _ failed: ItemFailure, _ item: Int?) -> [Action] {
        let failure = failed.failure
        let verdict =
            settings.parks
            ? queue[0].plan.failed(order.slice, culprit: item, failed) : queue[0].plan.failed(order.slice)
        switch verdict {
        case .split:
            note(.split(error: failure))
        case .marked: break
        case .isolated(let item):
            let layout = queue[0].plan.layout
            let partition = layout.parts[Int(layout.partOfItem[item])].partition
            isolated(partition, layout.offsetOfItem[item], .apply, failure)
        case .noEvent:
            return databaseFailed(DatabaseFailure(kind: .everything, underlying: failure))
        }
        return []
    }

    /// Handles an event that can never be applied, after everything before it was applied. No other place decides this.
    mutating func isolated(
        _ partition: TopicPartition, _ offset: Int64, _ stage: StoppedPartition.Stage, _ failure: EventFailure
    ) {
        stop(StoppedPartition(partition: partition, offset: offset, reason: .failedEvent(stage, failure)))
    }
}

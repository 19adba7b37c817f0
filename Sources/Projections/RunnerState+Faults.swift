internal import StreamCore

// Events that may be to blame for a transaction that failed. What comes of such an error is decided here; the database
// worker only says what it saw.

extension RunnerState {
    /// Where failures are parked, an error that may come from an event is no end: the slice is tried again, around the
    /// events that fail.
    ///
    /// Whose it is can be told at once from an error that only an event can cause. Of what looks like everybody's
    /// (a missing table, but of one trigger's making) an event is to blame when it fails alone and others do not. The
    /// same goes for what passes by itself as a rule (a lock, a timeout), once it has not passed for a while.
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

    /// Large batches take long; that one event does, for any reason, takes patience but not much.
    mutating func tooSlow(_ failure: DatabaseFailure) -> [Action] {
        let doubts = doubtfulFailures + (queue[0].plan.shrink() ? 0 : max(1, settings.patience / 2))
        defer { doubtfulFailures = doubts }
        return databaseFailed(failure)
    }

    /// Looks for an event that can be applied where these cannot: first beside them, when the slice was but a part of
    /// its batch, then among all that was taken.
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

    /// - Parameter failure: why the other event cannot be applied either; nil when it can.
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

    /// An event can never be applied, and everything before it is: the one place that decides what comes of it.
    mutating func isolated(
        _ partition: TopicPartition, _ offset: Int64, _ stage: StoppedPartition.Stage, _ failure: EventFailure
    ) {
        stop(StoppedPartition(partition: partition, offset: offset, reason: .failedEvent(stage, failure)))
    }
}

internal import StreamCore

// Circuit breakers, one for each partition. A partition whose circuit breaker is open is held: its records are dropped
// from the queue, and it is paused. All other partitions continue. For each trial the partition's offset and counts are
// read again, and the consumer starts at that offset. One event from the first records is tried:
//
// - If it can be applied, the circuit breaker closes and the partition continues.
// - If it cannot be applied, the partition is held again, for a longer time.
// - If there is no event to try (none of the failing type, or none that can be decoded), the records are written as
//   usual, but at most one event may be parked. So even a long run of records that cannot be decoded ends at some time,
//   and records of other types pass.

extension RunnerState {
    /// Handles the kinds of failures for which a partition's circuit breaker is open according to the database.
    mutating func breakerLoaded(_ partition: TopicPartition, open: [FailureCounts.Kind]) {
        breakerChanged(partition, open: open, by: .database)
    }

    private mutating func breakerChanged(
        _ partition: TopicPartition, open: [FailureCounts.Kind], by: BreakerNote.ClosedBy
    ) {
        guard !open.isEmpty else {
            if breakers.removeValue(forKey: partition) != nil { note(.breaker(partition, .closed(by))) }
            return
        }
        if breakers[partition] == nil {
            breakers[partition] = CircuitBreaker(
                open, initial: settings.probeInitial, ceiling: settings.probeCeiling)
            note(.breaker(partition, .open(open)))
        }
        breakers[partition]?.kinds = open
    }

    /// Handles the changes of failure counts by a transaction.
    mutating func breakersCounted(_ news: [TopicPartition: BreakerNews]) -> [Action] {
        var actions: [Action] = []
        for (partition, news) in news.sorted(by: { $0.key < $1.key }) where partitions[partition] != nil {
            breakerChanged(partition, open: news.open, by: .success)
            if !news.open.isEmpty && news.hasCounted { actions += hold(partition) }
        }
        return actions
    }

    /// Holds the partition until its next trial.
    mutating func hold(_ partition: TopicPartition) -> [Action] {
        drop(partition)
        guard partitions[partition]?.phase == .active else { return [] }
        partitions[partition]?.phase = .held
        commands.append(.pause([partition]))
        let timer = nextNumber()
        guard let delay = breakers[partition]?.hold(until: timer) else { return [] }
        return [.sleep(.trial(partition, timer), delay)]
    }

    mutating func trialDue(_ partition: TopicPartition, _ timer: Int) {
        guard breakers[partition]?.fired(timer) == true, partitions[partition]?.phase == .held else { return }
        // A success needs a letter.
        if letterOutage.isOver {
            partitions[partition]?.phase = .unknown
        } else {
            letterOutage.waiting.insert(partition)
        }
    }

    /// The trial that precedes the writing of the first batch; nil if there is none.
    mutating func nextTrial() -> TrialOrder? {
        if breakers.isEmpty { return nil }
        let batch = queue[0]
        for (part, partition) in batch.plan.layout.parts.map(\.partition).enumerated() {
            guard let kinds = breakers[partition]?.kinds, !batch.plan.isDropped(part: part),
                !batch.triedParts.contains(part)
            else { continue }
            guard !isStopping else {
                drop(partition)
                continue
            }
            return TrialOrder(
                batch: batch.id, partition: partition, part: part, candidates: batch.plan.candidates(in: part),
                kinds: kinds, number: breakers[partition]?.takeTrial() ?? 0)
        }
        return nil
    }

    mutating func tried(_ outcome: TrialOutcome) -> [Action] {
        guard case .trying(let order) = database else { return [] }
        database = .idle
        recovered()
        switch outcome {
        case .passed(let open):
            guard partitions[order.partition] != nil else { return [] }
            breakerChanged(order.partition, open: open, by: .success)
            return []
        case .failed(let failure):
            note(.trialFailed(order.partition, failure))
            return hold(order.partition)
        case .nothingToTry:
            if !queue.isEmpty, queue[0].id == order.batch { queue[0].triedParts.insert(order.part) }
            return []
        case .lettersFailed(let error):
            drop(order.partition)
            return lettersFailed(error, for: [order.partition])
        }
    }
}

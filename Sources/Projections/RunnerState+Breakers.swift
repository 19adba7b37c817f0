internal import StreamCore

// Circuit breakers, one a partition. A partition whose circuit breaker is open is held: nothing of it is kept in the
// queue, and it is paused; all others go on. For each trial its offset and its counts are read again and it is started
// there. From its first records one event is tried, and then:
//
// - It can be applied: the circuit breaker closes and the partition goes on.
// - It cannot: the partition is held again, for longer.
// - There is none to try, as none of the type that fails is there, or none can be decoded: the records are written as
//   ever, but for one event that may be parked. So a run of records that cannot be decoded ends in the end, however
//   long it is, and records of other types pass.

extension RunnerState {
    /// The database says what a partition's circuit breaker is open for.
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

    /// A transaction counted failures, or ended a count.
    mutating func breakersCounted(_ news: [TopicPartition: BreakerNews]) -> [Action] {
        var actions: [Action] = []
        for (partition, news) in news.sorted(by: { $0.key < $1.key }) where partitions[partition] != nil {
            breakerChanged(partition, open: news.open, by: .success)
            if !news.open.isEmpty && news.hasCounted { actions += hold(partition) }
        }
        return actions
    }

    /// Nothing more is taken of the partition until its next trial.
    private mutating func hold(_ partition: TopicPartition) -> [Action] {
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
        // A success is told by a letter.
        if letterOutage.isOver {
            partitions[partition]?.phase = .unknown
        } else {
            letterOutage.waiting.insert(partition)
        }
    }

    /// The trial that comes before the first batch is written; nil when there is none.
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

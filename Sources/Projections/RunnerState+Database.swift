internal import StreamCore

extension RunnerState {
    /// The next work for the idle database worker: what became of an unknown transaction, then the offsets that intake
    /// waits for, then the batches.
    mutating func advanceDatabase() -> [Action] {
        if let unsettled {
            database = .settling
            return [.settle(unsettled.moves)]
        }
        let rewinding = rewind()
        if !rewinding.isEmpty && !isStopping {
            database = .rewinding
            return [.rewind(rewinding)]
        }
        let unknown = partitions.filter { $0.value.phase == .unknown }.keys.sorted()
        if !unknown.isEmpty && !isStopping {
            for partition in unknown { partitions[partition]?.phase = .loading }
            database = .loading(unknown)
            return [.loadOffsets(unknown)]
        }
        if isPruneDue && !isStopping {
            isPruneDue = false
            database = .pruning
            return [.prune]
        }
        if isCountDue && !isStopping {
            isCountDue = false
            database = .counting
            return [.count]
        }
        var actions: [Action] = []
        while !queue.isEmpty {
            if let trial = nextTrial() {
                database = .trying(trial)
                return actions + [.tryBreaker(trial)]
            }
            guard let order = nextWrite() else {
                actions.append(.discard(finishFirst()))
                continue
            }
            database = .writing(order)
            return actions + [.write(order)]
        }
        // A batch that was cut short leaves partitions to be read again.
        let isUnknownLeft = partitions.values.contains { $0.phase == .unknown }
        return isUnknownLeft && !isStopping ? actions + advanceDatabase() : actions
    }

    private mutating func nextWrite() -> WriteOrder? {
        guard let slice = queue[0].plan.next() else { return nil }
        let moves = slice.moves.map { move in
            OffsetMove(
                partition: move.partition, expected: partitions[move.partition]?.committed ?? move.next,
                next: move.next, mark: move.mark)
        }
        return WriteOrder(
            batch: queue[0].id, slice: slice, moves: moves, isPersistent: doubtfulFailures >= settings.patience,
            mayWriteLetters: letterOutage.isOver, suspect: queue[0].plan.suspect)
    }

    /// The first batch is written: partitions that end with it stop now. One that was cut short and goes on is read
    /// again.
    private mutating func finishFirst() -> BatchID {
        let batch = queue.removeFirst()
        for (index, part) in batch.plan.layout.parts.enumerated() where !batch.plan.isDropped(part: index) {
            if batch.plan.isCut(part: index) {
                if partitions[part.partition]?.phase == .active { reload(part.partition) }
            } else if let failure = part.failure {
                isolated(part.partition, part.end, .decode, failure)
            }
        }
        return batch.id
    }

    /// Stopping does not wait for a database that fails: what was taken and not written is still in Kafka.
    mutating func dropQueue() -> [Action] {
        unsettled = nil
        database = .idle
        defer { queue = [] }
        return queue.map { .discard($0.id) }
    }

    mutating func written(_ outcome: WriteOutcome) -> [Action] {
        guard case .writing(let order) = database else { return [] }
        database = .idle
        switch outcome {
        case .committed(let news):
            committed(order)
            return breakersCounted(news)
        case .fenced:
            return fenced(order)
        case .unknown(let failure):
            unsettled = order
            return databaseFailed(failure)
        case .permanent(let failure, let item):
            return failedForGood(order, failure, item)
        case .failing(let failures):
            if let example = failures.first { note(.split(error: example.value.failure)) }
            queue[0].plan.mark(failures)
        case .tooLong(let cuts):
            for (part, item) in cuts { queue[0].plan.cut(part: part, at: item) }
        case .lettersMissing(let cuts, let error):
            if error != nil { recovered() }
            return lettersMissing(cuts, error)
        case .tooSlow(let failure):
            // Large batches take long; that one event does, for any reason, takes patience but not much.
            let doubts = doubtfulFailures + (queue[0].plan.shrink() ? 0 : max(1, settings.patience / 2))
            defer { doubtfulFailures = doubts }
            return databaseFailed(failure)
        case .unproven(let failures, let cause):
            return failedWithoutProof(order, failures, cause)
        }
        return []
    }

    /// Looks for an event that can be applied where these cannot: first beside them, when the slice was but a part of
    /// its batch, then among all that was taken.
    private mutating func failedWithoutProof(
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

    private mutating func committed(_ order: WriteOrder) {
        recovered()
        for move in order.moves { partitions[move.partition]?.committed = move.next }
        lettersPassed(order.moves.map(\.partition))
        queue[0].plan.succeeded(order.slice)
    }

    /// Whatever was taken of these partitions was taken from where another owner has already been.
    private mutating func fenced(_ order: WriteOrder) -> [Action] {
        let fenced = order.moves.map(\.partition)
        note(.fenced(fenced))
        for partition in fenced { reload(partition) }
        return waitForDatabase()
    }

    private mutating func failedForGood(_ order: WriteOrder, _ failed: ItemFailure, _ item: Int?) -> [Action] {
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
    private mutating func isolated(
        _ partition: TopicPartition, _ offset: Int64, _ stage: StoppedPartition.Stage, _ failure: EventFailure
    ) {
        stop(StoppedPartition(partition: partition, offset: offset, reason: .failedEvent(stage, failure)))
    }

    mutating func settled(
        _ outcome: SettleOutcome, _ open: [TopicPartition: [FailureCounts.Kind]]
    ) -> [Action] {
        guard case .settling = database, let order = unsettled else { return [] }
        database = .idle
        unsettled = nil
        note(.settled(outcome))
        switch outcome {
        case .committed: committed(order)
        case .notCommitted: recovered()
        case .fenced: for move in order.moves { reload(move.partition) }
        }
        return breakersCounted(open.mapValues { BreakerNews(open: $0, hasCounted: true) })
    }

    mutating func databaseFailed(_ failure: DatabaseFailure) -> [Action] {
        if case .loading(let partitions) = database {
            for partition in partitions where self.partitions[partition]?.phase == .loading {
                self.partitions[partition]?.phase = .unknown
            }
        }
        unproven = nil
        if !queue.isEmpty { queue[0].plan.suspect = nil }
        doubtfulFailures = failure.mayConcernOneEvent ? doubtfulFailures + 1 : 0
        if failure.kind != .transient {
            everythingFailures += 1
            if everythingFailures >= settings.everythingFailureLimit { return fail(.unusable(failure.underlying)) }
        }
        note(.databaseFailing(failure, attempt: backoff.attempts + 1))
        return waitForDatabase()
    }

    private mutating func waitForDatabase() -> [Action] {
        let timer = nextNumber()
        database = .waiting(timer)
        return [.sleep(.database(timer), backoff.next())]
    }

    mutating func recovered() {
        if backoff.attempts > 0 { note(.databaseRecovered) }
        backoff.reset()
        everythingFailures = 0
        doubtfulFailures = 0
    }
}

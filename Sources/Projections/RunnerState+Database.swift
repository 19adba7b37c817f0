internal import StreamCore

extension RunnerState {
    /// The next work for the idle database worker. A transaction with an unknown outcome comes first, then the
    /// comparison with the database, then the offsets that the intake waits for, then the batches.
    mutating func advanceDatabase() -> [Action] {
        if let unsettled {
            database = .settling
            return [.settle(unsettled.moves)]
        }
        if isReviewDue && (!isStopping || !queue.isEmpty) {
            isReviewDue = false
            database = .reviewing
            return [.review(partitions.keys.sorted())]
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
        // If a batch was shortened, its partitions must be read again.
        let isUnknownLeft = partitions.values.contains { $0.phase == .unknown }
        if isUnknownLeft && !isStopping { return actions + advanceDatabase() }
        // A write needs no other look at the session.
        if isSessionCheckDue && !isStopping {
            isSessionCheckDue = false
            database = .checkingSession
            actions.append(.checkSession)
        }
        return actions
    }

    private mutating func nextWrite() -> WriteOrder? {
        guard let slice = queue[0].plan.next() else { return nil }
        let moves = slice.moves.map { move in
            OffsetMove(
                partition: move.partition, expected: partitions[move.partition]?.committed ?? move.next,
                next: move.next, mark: move.mark)
        }
        let beside = queue[0].plan.suspect.map { Application.around(suspect: $0, isTolerant: true) }
        let usual = beside ?? failureDistance.map(Application.inParts) ?? .together
        return WriteOrder(
            batch: queue[0].id, slice: slice, moves: moves, application: queue[0].secondTry ?? usual,
            isSecondTry: queue[0].secondTry != nil, mayWriteLetters: letterOutage.isOver)
    }

    /// Finishes the first batch. Partitions with a failure at the end of their part stop now. Partitions whose part was
    /// shortened are read again.
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

    /// Drops all batches, because a shutdown does not wait for a database that fails. The records are still in Kafka.
    mutating func dropQueue() -> [Action] {
        unsettled = nil
        database = .idle
        defer { queue = [] }
        return queue.map { .discard($0.id) }
    }

    mutating func written(_ outcome: WriteOutcome) -> [Action] {
        guard case .writing(let order) = database else { return [] }
        database = .idle
        queue[0].secondTry = nil
        failureDistance = nil
        switch outcome {
        case .committed(let news, let distance):
            failureDistance = distance
            committed(order)
            return breakersCounted(news)
        case .fenced:
            return fenced(order)
        case .unknown(let failure):
            unsettled = order
            return databaseFailed(failure)
        case .failed(let fault):
            return failed(order, fault)
        case .undecodable(let failure, let item):
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
            return tooSlow(failure)
        case .unproven(let failures, let cause):
            return failedWithoutProof(order, failures, cause)
        }
        return []
    }

    private mutating func committed(_ order: WriteOrder) {
        recovered()
        for move in order.moves { partitions[move.partition]?.committed = move.next }
        lettersPassed(order.moves.map(\.partition))
        queue[0].plan.succeeded(order.slice)
    }

    /// Reads partitions again whose offsets another owner has moved.
    private mutating func fenced(_ order: WriteOrder) -> [Action] {
        let fenced = order.moves.map(\.partition)
        note(.fenced(fenced))
        for partition in fenced { reload(partition) }
        return waitForDatabase()
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
        abandonWork()
        doubtfulFailures = failure.mayConcernOneEvent ? doubtfulFailures + 1 : 0
        if failure.kind != .transient {
            everythingFailures += 1
            if everythingFailures >= settings.everythingFailureLimit { return fail(.unusable(failure.underlying)) }
        }
        note(.databaseFailing(failure, attempt: backoff.attempts + 1))
        return waitForDatabase()
    }

    /// Prepares to repeat the work in progress from its beginning.
    mutating func abandonWork() {
        switch database {
        case .loading(let partitions):
            for partition in partitions where self.partitions[partition]?.phase == .loading {
                self.partitions[partition]?.phase = .unknown
            }
        case .reviewing: isReviewDue = true
        default: break
        }
        unproven = nil
        if !queue.isEmpty {
            queue[0].plan.suspect = nil
            queue[0].secondTry = nil
        }
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

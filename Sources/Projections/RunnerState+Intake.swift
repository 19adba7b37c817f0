internal import Kafka
internal import StreamCore

extension RunnerState {
    /// The next round of the intake; nil if there is nothing to do or the queue is full.
    mutating func nextIntake(now: ContinuousClock.Instant) -> IntakeOrder? {
        let isFull = queue.count >= settings.queueDepth
        queueFullSince = isFull ? queueFullSince ?? now : nil
        var polls = !isStopping && !isFull
        if isFull && !isStopping && isStalled(now: now) {
            // No records are taken, but the member must poll to stay in the group and to answer rebalances.
            pauseActive()
            polls = true
        } else if !isFull && !paused.isEmpty {
            resumeActive()
        }
        let due = takeDueCommands()
        guard polls || !due.isEmpty else { return nil }
        var order = IntakeOrder(
            batch: BatchID(number: nextNumber()), commands: due, polls: polls, positions: takenPositions())
        for partition in order.positions.keys { order.marks[partition] = partitions[partition]?.mark }
        return order
    }

    /// The commands that can be executed now. While a revocation is not answered, no partition is started, because
    /// moving a partition unassigns it for a moment, which the group would take for the answer.
    private mutating func takeDueCommands() -> [ConsumerCommand] {
        let held = revocations.isEmpty ? [] : commands.filter(\.isStart)
        let due = revocations.isEmpty ? commands : commands.filter { !$0.isStart }
        commands = held
        return due
    }

    private func isStalled(now: ContinuousClock.Instant) -> Bool {
        if case .waiting = database { return true }
        guard let queueFullSince else { return false }
        return now - queueFullSince >= settings.stallAfter
    }

    private mutating func pauseActive() {
        let active = partitions.filter { $0.value.phase == .active && !paused.contains($0.key) }.keys
        guard !active.isEmpty else { return }
        if paused.isEmpty { note(.stalled(true)) }
        paused.formUnion(active)
        commands.append(.pause(active.sorted()))
    }

    private mutating func resumeActive() {
        let resumed = paused.filter { partitions[$0]?.phase == .active }
        paused = []
        note(.stalled(false))
        if !resumed.isEmpty { commands.append(.resume(resumed.sorted())) }
    }

    private func takenPositions() -> [TopicPartition: Int64] {
        var positions: [TopicPartition: Int64] = [:]
        for (partition, state) in partitions where state.phase == .active || state.phase == .starting {
            positions[partition] = state.position
        }
        return positions
    }

    mutating func intakeEnded(_ report: IntakeReport) -> [Action] {
        isIntakeUnderWay = false
        finishStarts(report)
        compare(report.continuity)
        switch report.polled {
        case .nothing: break
        case .batch(let layout): taken(report.batch, layout)
        case .assigned(let assigned): take(assigned)
        case .revoked(let revoked): revoke(revoked)
        case .lost(let lost): lose(lost)
        case .outOfRange(let outOfRange): outOfRange.forEach { doubt($0, .outOfRange) }
        }
        for (partition, end) in report.ends where partitions[partition]?.phase == .active {
            partitions[partition]?.end = end
        }
        guard let failure = report.failure else {
            intakeBackoff.reset()
            return []
        }
        if failure.isFatal { return fail(.kafka(failure)) }
        note(.kafkaFailing(failure))
        isIntakeWaiting = true
        return [.sleep(.intake, intakeBackoff.next())]
    }

    // MARK: assignment

    private mutating func take(_ assigned: [TopicPartition]) {
        note(.assigned(assigned))
        for partition in assigned { partitions[partition] = PartitionState() }
        // The group waits for an answer to an empty assignment too.
        if assigned.isEmpty { commands.append(.start(StartCommand())) }
    }

    private mutating func finishStarts(_ report: IntakeReport) {
        var started: [TopicPartition: Int64] = [:]
        for partition in report.started {
            partitions[partition]?.isWithConsumer = true
            guard let state = partitions[partition], state.phase == .starting else { continue }
            partitions[partition]?.phase = .active
            started[partition] = state.position
        }
        if !started.isEmpty { note(.started(started)) }
        for partition in report.notStarted where partitions[partition]?.phase == .starting {
            partitions[partition]?.phase = .unknown
        }
    }

    private mutating func revoke(_ revoked: [TopicPartition]) {
        note(.revoked(revoked))
        for partition in revoked {
            drop(partition)
            partitions[partition]?.phase = .revoked
        }
        revocations.append(revoked)
    }

    /// Handles partitions that another process already owns. No new work begins. The compare-and-set on the offsets
    /// decides about a transaction in progress.
    private mutating func lose(_ lost: [TopicPartition]) {
        note(.lost(lost))
        for partition in lost {
            drop(partition)
            forget(partition)
        }
        revocations = revocations.map { $0.filter { !lost.contains($0) } }.filter { !$0.isEmpty }
        commands.append(.giveUp(lost))
    }

    mutating func answerRevocations() {
        guard !revocations.isEmpty else { return }
        var underWay: Set<TopicPartition> = []
        if case .writing(let order) = database { underWay.formUnion(order.moves.map(\.partition)) }
        let held = commands
        commands = []
        defer { commands += held }
        let waiting = revocations
        revocations = waiting.filter { !underWay.isDisjoint(with: $0) }
        for revoked in waiting where underWay.isDisjoint(with: revoked) {
            let moved = takeUncopied(revoked)
            if !moved.isEmpty { commands.append(.copyOffsets(moved)) }
            commands.append(.giveUp(revoked))
            for partition in revoked { forget(partition) }
        }
    }

    private mutating func forget(_ partition: TopicPartition) {
        partitions[partition] = nil
        paused.remove(partition)
        // The client would keep the pause of an unassigned partition, and would not fetch it after it is assigned
        // again.
        commands = commands.compactMap { command in
            guard case .pause(let paused) = command else { return command }
            let rest = paused.filter { $0 != partition }
            return rest.isEmpty ? nil : .pause(rest)
        }
        examineBackoffs[partition] = nil
        breakers[partition] = nil
        forgetLetters(of: partition)
    }

    /// Lets the offset be read again and the consumer start there. Records that were taken are dropped.
    mutating func reload(_ partition: TopicPartition) {
        drop(partition)
        guard let phase = partitions[partition]?.phase else { return }
        switch phase {
        case .unknown, .doubtful, .examining, .rewinding, .loading, .starting, .active, .ending, .held:
            partitions[partition]?.phase = .unknown
        case .stopped, .revoked: break
        }
    }

    /// Drops the records of a partition that are not being written.
    mutating func drop(_ partition: TopicPartition) {
        for index in queue.indices { queue[index].plan.drop(partition) }
        commands = commands.map { command in
            guard case .start(var start) = command else { return command }
            start.remove(partition)
            return .start(start)
        }
    }

    mutating func stop(_ stopped: StoppedPartition) {
        drop(stopped.partition)
        partitions[stopped.partition]?.phase = .stopped
        commands.append(.pause([stopped.partition]))
        note(.stopped(stopped))
    }

    // MARK: batches

    private mutating func taken(_ id: BatchID, _ layout: BatchLayout) {
        var plan = BatchSplitter(layout)
        for (index, part) in layout.parts.enumerated() {
            guard partitions[part.partition]?.phase == .active else {
                plan.drop(part: index)
                continue
            }
            partitions[part.partition]?.position = part.end
            examineBackoffs[part.partition] = nil
            if part.failure != nil {
                partitions[part.partition]?.phase = .ending
                commands.append(.pause([part.partition]))
            }
        }
        queue.append(QueuedBatch(id: id, plan: plan))
    }
}
